//! Which takes were kept, liked or not: a line of JSON each, on this machine alone. Made
//! for training models on one's own taste; off by one switch.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::state::{Answer, Recipe, SavedNote};

/// The file's name, and that of the one before it.
const FILE: &str = "feedback.jsonl";
const OLDER: &str = "feedback.older.jsonl";
/// A longer file becomes the older one, and the older one goes.
const MOST_BYTES: u64 = 64 << 20;

/// What was thought of a take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Opinion {
    /// It was kept; the others of its answer were not.
    Kept,
    /// Thumbs up.
    Liked,
    /// Thumbs down.
    Disliked,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    /// Of this format.
    version: u32,
    opinion: Opinion,
    /// Of the takes, counted from 0.
    take: usize,
    /// Phrase, parameters, seed, model and its fingerprint.
    recipe: &'a Recipe,
    takes: &'a [Vec<SavedNote>],
}

/// Notes down what was thought of a take.
///
/// # Errors
/// A sentence with the file's name.
pub fn note(home: &Path, opinion: Opinion, answer: &Answer, take: usize) -> Result<(), String> {
    let line = Line { version: 1, opinion, take, recipe: &answer.recipe, takes: &answer.takes };
    let mut text = serde_json::to_string(&line).map_err(|error| error.to_string())?;
    text.push('\n');
    let file = home.join(FILE);
    append(home, text.as_bytes()).map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

/// One write, so that lines of several instances do not mix.
fn append(home: &Path, line: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(home)?;
    let file = home.join(FILE);
    if fs::metadata(&file).is_ok_and(|known| known.len() > MOST_BYTES) {
        fs::rename(&file, home.join(OLDER))?;
    }
    OpenOptions::new().create(true).append(true).open(file)?.write_all(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_all_that_training_needs() {
        let home = tempfile::tempdir().unwrap();
        let mut answer = Answer { takes: vec![vec![(4.0, 5.0, 0, 60, 90)], vec![]], ..Answer::default() };
        answer.recipe.fingerprint = "00ff".to_owned();
        note(home.path(), Opinion::Liked, &answer, 0).unwrap();
        note(home.path(), Opinion::Disliked, &answer, 1).unwrap();
        let text = fs::read_to_string(home.path().join(FILE)).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["opinion"], &lines[1]["opinion"]), (&"liked".into(), &"disliked".into()));
        assert_eq!(lines[0]["takes"][0][0][3], 60);
        assert_eq!((&lines[0]["recipe"]["fingerprint"], &lines[1]["take"]), (&"00ff".into(), &1.into()));
        assert!(lines[0]["recipe"]["wish"]["chance"]["temperature"].is_number());
    }
}
