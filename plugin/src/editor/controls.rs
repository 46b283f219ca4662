//! The parameters in groups, one group at a time.

use egui::Ui;
use nice_plug::prelude::*;

use super::{Window, theme, widgets};
use crate::params::{Mode, Start, Yield};

/// A group of parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// When, where and how long.
    #[default]
    Time,
    /// Which notes.
    Notes,
    /// How they are chosen.
    Chance,
    /// How they are played, and what is heard.
    Sound,
}

impl Group {
    /// All of them: their names and what is in them.
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Time, "Time", "When it answers, where it begins, how long it is"),
        (Self::Notes, "Notes", "Key, range, voices, density, grid, rhythm"),
        (Self::Chance, "Chance", "How daring the choice of notes is"),
        (Self::Sound, "Feel and sound", "Your feel, what is heard, triggers"),
    ];
}

/// The height of the tabs and a group.
pub(super) const HEIGHT: f32 = 104.0;

impl Window {
    pub(super) fn controls(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>) {
        let card = egui::Frame::NONE.fill(theme::CARD).corner_radius(theme::ROUND).inner_margin(12);
        card.show(ui, |ui| {
            ui.set_min_width(ui.available_width());
            ui.horizontal(|ui| {
                for (group, name, help) in Group::ALL {
                    if widgets::tab(ui, self.group == group, name, help) {
                        self.group = group;
                    }
                }
            });
            ui.add_space(6.0);
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 10.0;
                match self.group {
                    Group::Time => self.time(ui, setter),
                    Group::Notes => self.notes(ui, setter),
                    Group::Chance => self.chance(ui, setter),
                    Group::Sound => self.sound(ui, setter),
                }
            });
        });
    }

    fn time(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>) {
        let (params, typing) = (&self.params, &mut self.typing);
        let mode = params.mode.value();
        match mode {
            Mode::Reply => {
                widgets::number(ui, typing, setter, &params.pause, 96.0, "How long a pause is answered");
            }
            Mode::Trade => widgets::number(ui, typing, setter, &params.turn, 84.0, "How long each turn is"),
            Mode::Trigger | Mode::Accompany => {}
        }
        if mode != Mode::Trade {
            let starts = [
                (Start::Now, "Now", "As soon as the first note is known"),
                (Start::Beat, "Beat", "On the next beat"),
                (Start::Bar, "Bar", "On the next bar line"),
            ];
            widgets::choice(ui, setter, &params.start, &starts);
        }
        if !matches!(mode, Mode::Trade | Mode::Accompany) {
            widgets::number(ui, typing, setter, &params.bars, 104.0, "How long an answer is");
        }
        widgets::number(ui, typing, setter, &params.takes, 62.0, "How many answers to choose from");
        let yields = [
            (Yield::Never, "Plays on", "What you play into an answer leaves it be"),
            (Yield::Now, "Stops", "When you play into an answer it ends at once"),
            (Yield::Bar, "Stops at the bar", "When you play into an answer it ends on the next bar line"),
        ];
        widgets::choice(ui, setter, &params.yields, &yields);
        let help = "What it answers to: all you played since the last answer, or the last bars";
        widgets::number(ui, typing, setter, &params.listen, 128.0, help);
    }

    fn notes(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>) {
        let (params, typing) = (&self.params, &mut self.typing);
        widgets::combo(ui, setter, &params.root, 74.0, "The scale's tonic");
        widgets::combo(ui, setter, &params.scale, 132.0, "The scale all notes belong to");
        widgets::number(ui, typing, setter, &params.low, 64.0, "No note is lower");
        widgets::number(ui, typing, setter, &params.high, 64.0, "No note is higher");
        widgets::number(ui, typing, setter, &params.polyphony, 64.0, "How many notes sound at once at most");
        widgets::number(ui, typing, setter, &params.density, 96.0, "How many notes a beat has at most");
        widgets::combo(ui, setter, &params.grid, 80.0, "Where notes may begin");
        widgets::toggle(ui, setter, &params.keep_rhythm, "The answer has the rhythm of your phrase");
        widgets::toggle(ui, setter, &params.drums, "What you play is drums, whatever its channel");
    }

    fn chance(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>) {
        let (params, typing) = (&self.params, &mut self.typing);
        widgets::number(ui, typing, setter, &params.temperature, 96.0, "Low is cautious, high is daring");
        let help = "Chooses among so many of the likeliest continuations";
        widgets::number(ui, typing, setter, &params.top_k, 82.0, help);
        let help = "Chooses among the likeliest continuations of so much probability";
        widgets::number(ui, typing, setter, &params.top_p, 82.0, help);
        let help = "Leaves out what is less likely than this share of the likeliest";
        widgets::number(ui, typing, setter, &params.min_p, 82.0, help);
        let help = "Never says so many ids in a row twice; a note has about 3, 13 in text";
        widgets::number(ui, typing, setter, &params.no_repeat, 88.0, help);
        let help = "The same seed gives the same answers to the same phrase";
        widgets::number(ui, typing, setter, &params.seed, 124.0, help);
    }

    fn sound(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>) {
        let (params, typing) = (&self.params, &mut self.typing);
        let help = "How much the answer's loudness and accents follow yours";
        widgets::number(ui, typing, setter, &params.follow_velocity, 104.0, help);
        let help = "How much the answer swings, rushes or drags as you do";
        widgets::number(ui, typing, setter, &params.follow_timing, 104.0, help);
        widgets::toggle(ui, setter, &params.through, "Whether what you play is passed on");
        widgets::toggle(
            ui,
            setter,
            &params.preview,
            "A simple sound on the audio output, to hear it without routing",
        );
        widgets::number(ui, typing, setter, &params.preview_level, 92.0, "How loud that sound is");
        widgets::number(ui, typing, setter, &params.trigger_note, 84.0, "A MIDI key that asks for an answer");
        widgets::number(
            ui,
            typing,
            setter,
            &params.trigger_cc,
            80.0,
            "A MIDI controller that asks for an answer",
        );
        widgets::toggle(ui, setter, &params.bypass, "Everything through, nothing answered");
    }
}
