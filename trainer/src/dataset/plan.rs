//! Which files are used, and which of the two parts each is in.
//!
//! Files that belong together are in one part: those of one work, and those that are nearly
//! the same, and all that hangs together through either. The part is decided by the names
//! of the works alone, so it is the same in every build.

use super::similar::{self, Together};
use super::survey::{Facts, Found};

/// What becomes of files that are nearly the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Near {
    /// All are used, in one part
    Keep,
    /// The first is used
    Drop,
}

/// What becomes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is learned from.
    Train,
    /// It is measured on.
    Test,
    /// It is not used, and why.
    Dropped(String),
}

/// What becomes of all files.
pub struct Plan {
    /// By the files' index.
    pub fates: Vec<Fate>,
    /// Files that are nearly the same, with the share of what they have in common.
    pub near: Vec<(usize, usize, f64)>,
    /// How many files are exactly another.
    pub exact: usize,
}

/// Decides about all files.
#[must_use]
pub fn plan(found: &[Found], near: Near, test_share: f64) -> Plan {
    let mut fates: Vec<Fate> = found
        .iter()
        .map(|found| match found {
            Found::Music(_) => Fate::Train,
            Found::Dropped(_, why) => Fate::Dropped(why.clone()),
        })
        .collect();
    let exact = drop_exact(found, &mut fates);
    let used: Vec<(usize, &Facts)> = found
        .iter()
        .enumerate()
        .filter(|(index, _)| fates[*index] == Fate::Train)
        .filter_map(|(index, found)| facts(found).map(|facts| (index, facts)))
        .collect();
    let sketches: Vec<&[u32]> = used.iter().map(|(_, facts)| facts.sketch.as_slice()).collect();
    let pairs = similar::pairs(&sketches);
    let mut together = Together::new(used.len());
    let mut alike = Together::new(used.len());
    for &(a, b) in &pairs {
        together.join(a, b);
        alike.join(a, b);
    }
    join_works(&used, &mut together);
    let names = stands_for(&used, &mut together);
    for (place, (index, _)) in used.iter().enumerate() {
        let first = alike.of(place);
        if near == Near::Drop && first != place {
            fates[*index] = Fate::Dropped(format!("nearly the same as {}", used[first].1.name));
        } else if is_test(names[together.of(place)], test_share) {
            fates[*index] = Fate::Test;
        }
    }
    let near = pairs
        .iter()
        .map(|&(a, b)| (used[a].0, used[b].0, similar::share(sketches[a], sketches[b])))
        .collect();
    Plan { fates, near, exact }
}

fn facts(found: &Found) -> Option<&Facts> {
    match found {
        Found::Music(facts) => Some(facts),
        Found::Dropped(..) => None,
    }
}

/// Drops files that are exactly an earlier one; how many.
fn drop_exact(found: &[Found], fates: &mut [Fate]) -> usize {
    let mut seen = std::collections::HashMap::new();
    let mut dropped = 0;
    for (index, facts) in found.iter().enumerate().filter_map(|(index, found)| Some((index, facts(found)?))) {
        if let Some(first) = seen.get(&facts.exact) {
            fates[index] = Fate::Dropped(format!("the same as {first}"));
            dropped += 1;
        } else {
            seen.insert(facts.exact, &facts.name);
        }
    }
    dropped
}

fn join_works(used: &[(usize, &Facts)], together: &mut Together) {
    let mut seen = std::collections::HashMap::new();
    for (place, (_, facts)) in used.iter().enumerate() {
        match seen.get(&facts.work) {
            Some(&first) => together.join(first, place),
            None => {
                seen.insert(&facts.work, place);
            }
        }
    }
}

/// For what stands for each group, the group's smallest work by name.
fn stands_for<'a>(used: &[(usize, &'a Facts)], together: &mut Together) -> Vec<&'a str> {
    let mut names: Vec<&str> = used.iter().map(|(_, facts)| facts.work.as_str()).collect();
    for place in 0..used.len() {
        let group = together.of(place);
        names[group] = names[group].min(names[place]);
    }
    names
}

/// Whether a group of this name is measured on.
fn is_test(name: &str, share: f64) -> bool {
    similar::place(name.as_bytes()) < share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn music(name: &str, exact: u64, sketch: u32) -> Found {
        Found::Music(Facts {
            name: name.to_owned(),
            notes: 100,
            seconds: 60.0,
            exact,
            sketch: (0..128).map(|n| sketch * 1000 + n).collect(),
            work: crate::train::split::work(std::path::Path::new(name)),
            license: "CC0-1.0".to_owned(),
            source: "test".to_owned(),
        })
    }

    #[test]
    fn what_belongs_together_is_never_parted() {
        // Works of two movements; every tenth file nearly repeats the one before.
        let found: Vec<Found> = (0..2000)
            .map(|n| {
                music(
                    &format!("w{}_{}.mid", n / 2, n % 2),
                    n,
                    u32::try_from(n - u64::from(n % 10 == 9)).unwrap(),
                )
            })
            .collect();
        let plan = plan(&found, Near::Keep, 0.2);
        assert_eq!(plan.near.len(), 200);
        assert!(plan.near.iter().all(|&(a, b, _)| plan.fates[a] == plan.fates[b]));
        assert!((0..1000).all(|work| plan.fates[2 * work] == plan.fates[2 * work + 1]));
        let test = plan.fates.iter().filter(|fate| **fate == Fate::Test).count();
        assert!((280..520).contains(&test), "{test}");
    }

    #[test]
    fn copies_are_dropped_with_the_name_of_what_they_repeat() {
        let found = [music("a.mid", 1, 1), music("b.mid", 1, 1), music("c.mid", 2, 1)];
        let fates = plan(&found, Near::Drop, 0.0).fates;
        assert_eq!(fates[0], Fate::Train);
        assert_eq!(fates[1], Fate::Dropped("the same as a.mid".to_owned()));
        assert_eq!(fates[2], Fate::Dropped("nearly the same as a.mid".to_owned()));
    }
}
