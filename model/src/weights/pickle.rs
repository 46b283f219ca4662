//! Files as PyTorch saves them: a zip archive with the numbers of each tensor and a
//! pickled dictionary that says how they belong together.
//!
//! A pickle is a program. This reads those few instructions that build dictionaries,
//! lists and texts, and takes note of what else would be called: nothing is called, and
//! what is not a tensor is passed over.

use std::collections::HashMap;
use std::ops::Range;

use super::reader::Reader;
use super::{Entry, NumberFormat, Stored, zip};

/// More than the description of any model takes, in bytes.
const MAX_PROGRAM: usize = 16 << 20;

const CUT: &str = "the description of the tensors is damaged; download or copy the file again";

/// The tensors of a file, or what is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<(String, Entry)>, String> {
    let entries = zip::entries(bytes)?;
    let (prefix, program) = entries
        .iter()
        .filter_map(|(name, range)| Some((name.strip_suffix("data.pkl")?, range)))
        .min_by_key(|(prefix, _)| prefix.len())
        .ok_or("the archive holds no data.pkl, so torch.save has not written it; export the model again")?;
    if entries.get(format!("{prefix}byteorder").as_str()).is_some_and(|at| &bytes[at.clone()] == b"big") {
        return Err("the numbers stand in the order of big-endian machines; save the model anew on another"
            .to_owned());
    }
    let program = &bytes[program.clone()];
    if program.len() > MAX_PROGRAM {
        return Err(CUT.to_owned());
    }
    let heap = Machine::run(program)?;
    let storages = |key: &str| entries.get(format!("{prefix}data/{key}").as_str()).cloned();
    heap.tensors(&storages)
}

/// An object, by its place among all of them.
type Id = usize;

enum Object<'a> {
    /// One whose contents do not matter.
    Other,
    Int(i64),
    Text(&'a str),
    /// A class or function: its module and name.
    Global(&'a str, &'a str),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// What is found elsewhere in the archive.
    Persistent(Id),
    /// What a call would give.
    Call {
        function: Id,
        arguments: Id,
    },
}

#[derive(Default)]
struct Machine<'a> {
    /// All objects there ever were. None holds another, so however deep they are nested
    /// nothing recurs.
    objects: Vec<Object<'a>>,
    /// Objects by place, and marks.
    stack: Vec<Option<Id>>,
    memo: HashMap<u32, Id>,
}

/// The objects of a program that has run, and the one it is about.
struct Heap<'a> {
    objects: Vec<Object<'a>>,
    root: Id,
}

impl<'a> Machine<'a> {
    fn run(program: &'a [u8]) -> Result<Heap<'a>, String> {
        let (mut machine, mut reader) = (Self::default(), Reader::new(program));
        loop {
            let code = reader.u8().ok_or(CUT)?;
            if code == b'.' {
                let root = machine.pop().ok_or(CUT)?;
                return Ok(Heap { objects: machine.objects, root });
            }
            match machine.step(code, &mut reader) {
                Some(true) => {}
                Some(false) => {
                    return Err(format!(
                        "the file holds more than tensors (pickle instruction {code:#04x}); \
                         save the model's state_dict() alone"
                    ));
                }
                None => return Err(CUT.to_owned()),
            }
        }
    }

    /// Follows an instruction; whether it is one that is known.
    fn step(&mut self, code: u8, reader: &mut Reader<'a>) -> Option<bool> {
        match code {
            // Protocol and frames.
            0x80 => drop(reader.u8()?),
            0x95 => drop(reader.u64()?),
            b'(' => self.stack.push(None),
            b'0' => drop(self.stack.pop()?),
            b'1' => drop(self.above_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(Some(top));
            }
            b'N' | 0x88 | 0x89 => self.push(Object::Other),
            b'J' => self.int(i32::from_le_bytes(reader.array()?).into()),
            b'K' => self.int(reader.u8()?.into()),
            b'M' => self.int(reader.u16()?.into()),
            0x8a => {
                let length = reader.u8()?;
                let digits = reader.take(length.into())?;
                self.push(long(digits).map_or(Object::Other, Object::Int));
            }
            b'G' => {
                reader.take(8)?;
                self.push(Object::Other);
            }
            b'X' | b'T' => self.text(reader, 4)?,
            b'U' | 0x8c => self.text(reader, 1)?,
            0x8d => self.text(reader, 8)?,
            b'B' | b'C' | 0x8e => {
                let length = length(
                    reader,
                    if code == b'C' {
                        1
                    } else if code == b'B' {
                        4
                    } else {
                        8
                    },
                )?;
                reader.take(length)?;
                self.push(Object::Other);
            }
            b'c' => {
                let (module, name) = (reader.line()?, reader.line()?);
                self.push(Object::Global(module, name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Object::Text(module), Object::Text(name)) = (&self.objects[module], &self.objects[name])
                else {
                    return None;
                };
                self.push(Object::Global(module, name));
            }
            b'q' => self.remember(reader.u8()?.into())?,
            b'r' => self.remember(reader.u32()?)?,
            0x94 => self.remember(u32::try_from(self.memo.len()).ok()?)?,
            b'h' => self.recall(reader.u8()?.into())?,
            b'j' => self.recall(reader.u32()?)?,
            b')' => self.push(Object::Tuple(Vec::new())),
            b'}' => self.push(Object::Dict(Vec::new())),
            // Lists and sets hold no tensors of a model.
            b']' | 0x8f => self.push(Object::Other),
            b't' => {
                let items = self.above_mark()?;
                self.push(Object::Tuple(items));
            }
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0x85..=code {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Object::Tuple(items));
            }
            b'l' => {
                self.above_mark()?;
                self.push(Object::Other);
            }
            b'd' => {
                let items = self.above_mark()?;
                self.push(Object::Dict(pairs(&items)));
            }
            b'a' => drop(self.pop()?),
            b'e' | 0x90 => drop(self.above_mark()?),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.above_mark()?;
                self.set_items(&items)?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Object::Persistent(id));
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let ordered = matches!(self.objects[function], Object::Global("collections", "OrderedDict"));
                let call = Object::Call { function, arguments };
                self.push(if ordered { Object::Dict(Vec::new()) } else { call });
            }
            // The state of an object is what matters least of it.
            b'b' => drop(self.pop()?),
            _ => return Some(false),
        }
        Some(true)
    }

    fn push(&mut self, object: Object<'a>) {
        self.stack.push(Some(self.objects.len()));
        self.objects.push(object);
    }

    fn int(&mut self, number: i64) {
        self.push(Object::Int(number));
    }

    fn text(&mut self, reader: &mut Reader<'a>, digits: u8) -> Option<()> {
        let length = length(reader, digits)?;
        let bytes = reader.take(length)?;
        self.push(str::from_utf8(bytes).map_or(Object::Other, Object::Text));
        Some(())
    }

    /// The uppermost object, unless it is a mark.
    fn top(&self) -> Option<Id> {
        *self.stack.last()?
    }

    fn pop(&mut self) -> Option<Id> {
        let top = self.top()?;
        self.stack.pop();
        Some(top)
    }

    /// What lies above the uppermost mark, which goes too.
    fn above_mark(&mut self) -> Option<Vec<Id>> {
        let mark = self.stack.iter().rposition(Option::is_none)?;
        let items = self.stack.drain(mark..).flatten().collect();
        Some(items)
    }

    fn remember(&mut self, place: u32) -> Option<()> {
        self.memo.insert(place, self.top()?);
        Some(())
    }

    fn recall(&mut self, place: u32) -> Option<()> {
        self.stack.push(Some(*self.memo.get(&place)?));
        Some(())
    }

    fn set_items(&mut self, items: &[Id]) -> Option<()> {
        let top = self.top()?;
        if let Object::Dict(known) = &mut self.objects[top] {
            known.extend(pairs(items));
        }
        Some(())
    }
}

fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items.as_chunks().0.iter().map(|&[key, value]| (key, value)).collect()
}

fn length(reader: &mut Reader<'_>, digits: u8) -> Option<u64> {
    match digits {
        1 => reader.u8().map(u64::from),
        4 => reader.u32().map(u64::from),
        _ => reader.u64(),
    }
}

/// A whole number of up to 8 bytes.
fn long(digits: &[u8]) -> Option<i64> {
    let negative = digits.last().is_some_and(|&byte| byte >= 0x80);
    let mut number = [if negative { 0xff } else { 0 }; 8];
    number.get_mut(..digits.len())?.copy_from_slice(digits);
    Some(i64::from_le_bytes(number))
}

impl<'a> Heap<'a> {
    /// The tensors of the dictionary. `storages` finds the numbers by their key.
    fn tensors(
        &self,
        storages: &dyn Fn(&str) -> Option<Range<usize>>,
    ) -> Result<Vec<(String, Entry)>, String> {
        let Object::Dict(dict) = &self.objects[self.root] else {
            return Err(
                "the file holds something else than tensors; save the model's state_dict() alone".to_owned()
            );
        };
        // What trainers save holds the model beside other things.
        let inner = dict.iter().find_map(|&(key, value)| match (&self.objects[key], &self.objects[value]) {
            (Object::Text("state_dict" | "model" | "model_state_dict"), Object::Dict(dict)) => Some(dict),
            _ => None,
        });
        let tensors = inner.unwrap_or(dict).iter().filter_map(|&(key, value)| {
            let Object::Text(name) = self.objects[key] else { return None };
            Some((name.to_owned(), self.tensor(value, storages)?))
        });
        Ok(tensors.collect())
    }

    /// A tensor, if an object is one.
    fn tensor(&self, object: Id, storages: &dyn Fn(&str) -> Option<Range<usize>>) -> Option<Entry> {
        let (function, arguments) = self.call(object)?;
        let refused = |problem: String| Some(Entry::new(Stored::Refused(problem), Vec::new(), 0));
        let arguments = match function {
            "_rebuild_tensor_v2" | "_rebuild_tensor" => arguments,
            "_rebuild_parameter" => match self.call(*arguments.first()?)? {
                ("_rebuild_tensor_v2" | "_rebuild_tensor", arguments) => arguments,
                _ => return refused("is a parameter of no tensor; save the model anew".to_owned()),
            },
            other => {
                return refused(format!(
                    "is saved in a way that is not read ({other}); convert the model to safetensors"
                ));
            }
        };
        let damaged = "is described in a way that makes no sense; download or copy the file again";
        match self.plain_tensor(arguments, storages) {
            Some(Ok(entry)) => Some(entry),
            Some(Err(problem)) => refused(problem),
            None => refused(damaged.to_owned()),
        }
    }

    /// The function of PyTorch that an object is a call of, and with what.
    fn call(&self, object: Id) -> Option<(&'a str, &[Id])> {
        let Object::Call { function, arguments } = self.objects[object] else { return None };
        match (&self.objects[function], &self.objects[arguments]) {
            (Object::Global("torch._utils", name), Object::Tuple(arguments)) => Some((name, arguments)),
            _ => None,
        }
    }

    fn plain_tensor(
        &self,
        arguments: &[Id],
        storages: &dyn Fn(&str) -> Option<Range<usize>>,
    ) -> Option<Result<Entry, String>> {
        let &[storage, offset, size, stride, ..] = arguments else { return None };
        let Object::Persistent(storage) = self.objects[storage] else { return None };
        let Object::Tuple(storage) = &self.objects[storage] else { return None };
        let &[_, kind, key, ..] = storage.as_slice() else { return None };
        let (Object::Global(_, kind), Object::Text(key)) = (&self.objects[kind], &self.objects[key]) else {
            return None;
        };
        let (offset, shape, strides) = (self.whole(offset)?, self.wholes(size)?, self.wholes(stride)?);
        let format = match *kind {
            "FloatStorage" => NumberFormat::F32,
            "HalfStorage" => NumberFormat::F16,
            "BFloat16Storage" => NumberFormat::Bf16,
            other => {
                let other = other.strip_suffix("Storage").unwrap_or(other).to_owned();
                return Some(Ok(Entry::new(Stored::Other(other), shape, 0)));
            }
        };
        let Some(transposed) = order(&shape, &strides) else {
            return Some(Err("does not lie in memory row by row or column by column; \
                 save it with .contiguous()"
                .to_owned()));
        };
        let missing = || "lies outside of the file, which is cut short or damaged; download or copy it again";
        let Some(storage) = storages(key) else { return Some(Err(missing().to_owned())) };
        let start = storage.start.checked_add(format.bytes(offset)?)?;
        let entry = Entry::new(Stored::Numbers(format), shape, start).within(storage.end);
        Some(entry.map(|entry| Entry { transposed, ..entry }).ok_or_else(|| missing().to_owned()))
    }

    fn whole(&self, object: Id) -> Option<usize> {
        match self.objects[object] {
            Object::Int(number) => usize::try_from(number).ok(),
            _ => None,
        }
    }

    fn wholes(&self, object: Id) -> Option<Vec<usize>> {
        let Object::Tuple(items) = &self.objects[object] else { return None };
        items.iter().map(|&item| self.whole(item)).collect()
    }
}

/// Whether a tensor's numbers are those of the transposed matrix; `None` where they lie
/// in neither order.
fn order(shape: &[usize], strides: &[usize]) -> Option<bool> {
    let mut plain = shape.len() == strides.len();
    let mut expected = 1_usize;
    for (&length, &stride) in shape.iter().zip(strides).rev() {
        plain &= length <= 1 || stride == expected;
        expected = expected.checked_mul(length)?;
    }
    match (shape, strides) {
        _ if plain => Some(false),
        (&[rows, _], &[1, stride]) if stride == rows => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_told_apart() {
        assert_eq!(order(&[2, 3], &[3, 1]), Some(false));
        assert_eq!(order(&[2, 3], &[1, 2]), Some(true));
        assert_eq!(order(&[1, 3], &[7, 1]), Some(false));
        assert_eq!(order(&[2, 3], &[6, 2]), None);
        assert_eq!(order(&[2, 3], &[3]), None);
        assert_eq!(order(&[], &[]), Some(false));
    }

    #[test]
    fn long_numbers_have_signs() {
        assert_eq!(long(&[]), Some(0));
        assert_eq!(long(&[0xff]), Some(-1));
        assert_eq!(long(&[0xff, 0]), Some(255));
        assert_eq!(long(&[0; 9]), None);
    }

    #[test]
    fn nothing_recurs_or_grows_without_instructions() {
        // A list in itself, a tuple a million levels deep, marks without end.
        let deep = [&b")"[..], &[0x85; 1_000_000], b"."].concat();
        assert!(Machine::run(&deep).is_ok());
        assert!(Machine::run(&[b'('; 1000]).is_err());
        assert!(Machine::run(b"}q\x00h\x00h\x00s.").is_ok());
        assert!(Machine::run(b"X\xff\xff\xff\xff").is_err());
        assert!(Machine::run(b"cos\nsystem\nX\x02\0\0\0ls\x85R.").is_ok());
        assert!(Machine::run(b"i").is_err());
    }
}
