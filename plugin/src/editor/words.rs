//! The status in words: what is happening, or what went wrong and what helps.

use continuo_engine::worker::ModelState;
use egui::Color32;

use super::theme;
use crate::params::Mode;
use crate::responder::Status;
use crate::state::Session;

/// What the words depend on beside the status.
pub(super) struct Scene<'a> {
    /// Phrase and takes.
    pub(super) session: &'a Session,
    /// When answers are given.
    pub(super) mode: Mode,
    /// Whether keys were played that nothing answered yet.
    pub(super) open: bool,
    /// Whether everything is passed through and nothing answered.
    pub(super) bypass: bool,
    /// In trading: whether the turn that runs is the plugin's, and how many beats are left.
    pub(super) turn: Option<(f64, bool)>,
}

/// The words, and their colour.
pub(super) fn of(status: &Status, scene: &Scene<'_>) -> (Color32, String) {
    if let Some(said) = model(status) {
        return said;
    }
    if let Some(error) = &status.error {
        return (theme::ALARM, format!("No answer: {error}"));
    }
    if scene.bypass {
        return (theme::MUTED, "Bypassed: all you play passes through, nothing is answered".to_owned());
    }
    if status.keeping {
        return (theme::KEPT, "Keeping this take as soon as it is complete".to_owned());
    }
    if let Some(notice) = &status.notice {
        return (theme::KEPT, notice.clone());
    }
    if let Some((beats, own)) = scene.turn {
        let beats = beats.max(0.0).ceil();
        let whose = if own { "Continuo's turn" } else { "Your turn" };
        return (if own { theme::ANSWER } else { theme::PHRASE }, format!("{whose}, {beats} beats left"));
    }
    if status.thinking {
        return (theme::ANSWER, "Answering".to_owned());
    }
    if scene.open {
        return (theme::PHRASE, listening(scene.mode).to_owned());
    }
    match &scene.session.answer {
        Some(answer) => {
            let recipe = &answer.recipe;
            let again = if recipe.again > 0 { format!(", again {}", recipe.again) } else { String::new() };
            (theme::GOOD, format!("Answered (seed {}{again})", recipe.seed))
        }
        None => ready(status, scene.mode),
    }
}

/// What there is to say of a model that cannot be asked.
fn model(status: &Status) -> Option<(Color32, String)> {
    match &status.model {
        None => Some((theme::MUTED, "Waiting for the host to start its audio".to_owned())),
        Some(ModelState::Loading) => Some((theme::ANSWER, "Loading the model".to_owned())),
        Some(ModelState::Failed(why)) => {
            Some((theme::ALARM, format!("No model: {why}. Choose another in the menu Model")))
        }
        Some(ModelState::Ready(_)) => None,
    }
}

const fn listening(mode: Mode) -> &'static str {
    match mode {
        Mode::Trigger => "Listening: press Answer when you are done",
        Mode::Reply => "Listening: pause, and it answers",
        Mode::Trade => "Listening",
        Mode::Accompany => "Listening: press Answer, and it plays along",
    }
}

fn ready(status: &Status, mode: Mode) -> (Color32, String) {
    if let Some(ModelState::Ready(ready)) = &status.model
        && let Some(why) = &ready.fallback
    {
        return (theme::ANSWER, format!("Ready, on the processor: {why}"));
    }
    let what = match mode {
        Mode::Trade => "play, and after your bars it takes over",
        _ => "play a phrase",
    };
    (theme::GOOD, format!("Ready: {what}"))
}

#[cfg(test)]
mod tests {
    use continuo_engine::worker::Ready;

    use super::*;

    fn says(status: &Status) -> String {
        let session = Session::default();
        let scene = Scene { session: &session, mode: Mode::Trigger, open: false, bypass: false, turn: None };
        of(status, &scene).1
    }

    #[test]
    fn why_the_model_is_not_where_it_was_wanted_is_said() {
        let mut ready = Ready { fallback: Some("no card".to_owned()), ..Ready::default() };
        let with =
            |ready: &Ready| Status { model: Some(ModelState::Ready(ready.clone())), ..Status::default() };
        assert_eq!(says(&with(&ready)), "Ready, on the processor: no card");
        ready.fallback = None;
        assert_eq!(says(&with(&ready)), "Ready: play a phrase");
    }

    #[test]
    fn what_is_wrong_comes_first_and_names_a_remedy() {
        let failed = Status {
            model: Some(ModelState::Failed("/models/x is not there".to_owned())),
            thinking: true,
            ..Status::default()
        };
        assert!(says(&failed).contains("/models/x is not there. Choose another"));
        assert!(says(&Status::default()).starts_with("Waiting for the host"));
    }
}
