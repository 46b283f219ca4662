//! Parameters that are a choice among names. Their `id`s are what projects keep.

use nice_plug::prelude::*;
use serde::{Deserialize, Serialize};

/// When an answer is given.
#[derive(Enum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// When it is asked for.
    #[id = "trigger"]
    #[name = "Answer"]
    #[default]
    Trigger,
    /// When it is asked for, and when the player pauses.
    #[id = "reply"]
    #[name = "Reply"]
    Reply,
    /// Some bars the player, as many bars the plugin, in turn.
    #[id = "trade"]
    #[name = "Trade"]
    Trade,
    /// When it is asked for, over the phrase instead of after it.
    #[id = "accompany"]
    #[name = "Accompany"]
    Accompany,
}

/// Where an answer begins.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As soon as it is known.
    #[id = "now"]
    Now,
    /// On the next beat.
    #[id = "beat"]
    #[name = "Next beat"]
    Beat,
    /// On the next bar line.
    #[id = "bar"]
    #[name = "Next bar"]
    Bar,
}

/// What becomes of an answer when the player plays into it.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yield {
    /// It plays on.
    #[id = "never"]
    #[name = "Plays on"]
    Never,
    /// It ends there.
    #[id = "now"]
    #[name = "Stops at once"]
    Now,
    /// It ends on the next bar line.
    #[id = "bar"]
    #[name = "Stops at the bar"]
    Bar,
}

/// The tonic of the scale.
#[derive(Enum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Root {
    #[id = "c"]
    #[name = "C"]
    #[default]
    /// C.
    C,
    #[id = "c_sharp"]
    #[name = "C#/Db"]
    /// C sharp, D flat.
    CSharp,
    #[id = "d"]
    #[name = "D"]
    /// D.
    D,
    #[id = "d_sharp"]
    #[name = "D#/Eb"]
    /// D sharp, E flat.
    DSharp,
    #[id = "e"]
    #[name = "E"]
    /// E.
    E,
    #[id = "f"]
    #[name = "F"]
    /// F.
    F,
    #[id = "f_sharp"]
    #[name = "F#/Gb"]
    /// F sharp, G flat.
    FSharp,
    #[id = "g"]
    #[name = "G"]
    /// G.
    G,
    #[id = "g_sharp"]
    #[name = "G#/Ab"]
    /// G sharp, A flat.
    GSharp,
    #[id = "a"]
    #[name = "A"]
    /// A.
    A,
    #[id = "a_sharp"]
    #[name = "A#/Bb"]
    /// A sharp, B flat.
    ASharp,
    #[id = "b"]
    #[name = "B"]
    /// B.
    B,
}

impl Root {
    /// As the codec reads it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::C => "C",
            Self::CSharp => "C#",
            Self::D => "D",
            Self::DSharp => "D#",
            Self::E => "E",
            Self::F => "F",
            Self::FSharp => "F#",
            Self::G => "G",
            Self::GSharp => "G#",
            Self::A => "A",
            Self::ASharp => "A#",
            Self::B => "B",
        }
    }
}

/// The scale an answer keeps to.
#[derive(Enum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleChoice {
    /// None: any pitch.
    #[id = "off"]
    #[default]
    Off,
    /// Major.
    #[id = "major"]
    Major,
    /// Natural minor.
    #[id = "minor"]
    Minor,
    /// Harmonic minor.
    #[id = "harmonic_minor"]
    #[name = "Harmonic minor"]
    HarmonicMinor,
    /// Melodic minor.
    #[id = "melodic_minor"]
    #[name = "Melodic minor"]
    MelodicMinor,
    /// Dorian.
    #[id = "dorian"]
    Dorian,
    /// Phrygian.
    #[id = "phrygian"]
    Phrygian,
    /// Lydian.
    #[id = "lydian"]
    Lydian,
    /// Mixolydian.
    #[id = "mixolydian"]
    Mixolydian,
    /// Locrian.
    #[id = "locrian"]
    Locrian,
    /// Major pentatonic.
    #[id = "major_pentatonic"]
    #[name = "Major pentatonic"]
    MajorPentatonic,
    /// Minor pentatonic.
    #[id = "minor_pentatonic"]
    #[name = "Minor pentatonic"]
    MinorPentatonic,
    /// Blues.
    #[id = "blues"]
    Blues,
    /// Whole tone.
    #[id = "whole_tone"]
    #[name = "Whole tone"]
    WholeTone,
    /// Diminished.
    #[id = "diminished"]
    Diminished,
}

impl ScaleChoice {
    /// As the codec reads it; `None` for no scale.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Off => return None,
            Self::Major => "major",
            Self::Minor => "minor",
            Self::HarmonicMinor => "harmonic minor",
            Self::MelodicMinor => "melodic minor",
            Self::Dorian => "dorian",
            Self::Phrygian => "phrygian",
            Self::Lydian => "lydian",
            Self::Mixolydian => "mixolydian",
            Self::Locrian => "locrian",
            Self::MajorPentatonic => "major pentatonic",
            Self::MinorPentatonic => "minor pentatonic",
            Self::Blues => "blues",
            Self::WholeTone => "whole tone",
            Self::Diminished => "diminished",
        })
    }
}

/// Where an answer's notes may begin.
#[derive(Enum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GridChoice {
    /// Anywhere.
    #[id = "off"]
    #[default]
    Off,
    /// On quarter notes.
    #[id = "quarter"]
    #[name = "1/4"]
    Quarter,
    /// On eighths.
    #[id = "eighth"]
    #[name = "1/8"]
    Eighth,
    /// On triplets of eighths.
    #[id = "eighth_triplet"]
    #[name = "1/8 T"]
    EighthTriplet,
    /// On sixteenths.
    #[id = "sixteenth"]
    #[name = "1/16"]
    Sixteenth,
    /// On triplets of sixteenths.
    #[id = "sixteenth_triplet"]
    #[name = "1/16 T"]
    SixteenthTriplet,
    /// On thirty-seconds.
    #[id = "thirty_second"]
    #[name = "1/32"]
    ThirtySecond,
}

impl GridChoice {
    /// Onsets in a quarter note; `None` for anywhere.
    #[must_use]
    pub const fn per_beat(self) -> Option<u8> {
        match self {
            Self::Off => None,
            Self::Quarter => Some(1),
            Self::Eighth => Some(2),
            Self::EighthTriplet => Some(3),
            Self::Sixteenth => Some(4),
            Self::SixteenthTriplet => Some(6),
            Self::ThirtySecond => Some(8),
        }
    }
}
