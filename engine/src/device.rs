//! What a model runs on, as users choose it, and what is tried for it in turn.

use continuo_model::GpuKind;
use serde::{Deserialize, Serialize};

/// What a model shall run on. Saved as its name; one that is not known is read as `Auto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum DeviceChoice {
    /// A graphics card that works, if this build knows of any; else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A graphics card, through CUDA.
    Cuda,
    /// A graphics card, through Metal.
    Metal,
}

impl From<String> for DeviceChoice {
    fn from(name: String) -> Self {
        Self::named(&name).unwrap_or_default()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.name().to_owned()
    }
}

impl DeviceChoice {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Cpu, Self::Cuda, Self::Metal];

    /// As it is typed and saved.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        }
    }

    /// The one of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }

    /// Whether this build can have it; whether the machine can is another matter.
    #[must_use]
    pub fn is_built(self) -> bool {
        self.gpu().is_none_or(GpuKind::is_built)
    }

    /// The kind of graphics card it insists on.
    const fn gpu(self) -> Option<GpuKind> {
        match self {
            Self::Auto | Self::Cpu => None,
            Self::Cuda => Some(GpuKind::Cuda),
            Self::Metal => Some(GpuKind::Metal),
        }
    }

    /// Opens what is chosen: `open` is asked for a kind of graphics card, or for the
    /// processor. Where the processor takes a card's place, the card's error comes too.
    ///
    /// # Errors
    /// What `open` says of what was chosen.
    pub fn open<T, E>(
        self,
        is_built: impl Fn(GpuKind) -> bool,
        mut open: impl FnMut(Option<GpuKind>) -> Result<T, E>,
    ) -> Result<(T, Option<E>), E> {
        if self != Self::Auto {
            return open(self.gpu()).map(|opened| (opened, None));
        }
        let mut refused = None;
        for kind in GpuKind::ALL.into_iter().filter(|&kind| is_built(kind)) {
            match open(Some(kind)) {
                Ok(opened) => return Ok((opened, None)),
                Err(error) => refused = Some(error),
            }
        }
        open(None).map(|opened| (opened, refused))
    }

    /// As [`open`](Self::open); the processor takes the place of any card.
    ///
    /// # Errors
    /// What `open` says of the processor.
    pub fn open_or_cpu<T, E>(
        self,
        is_built: impl Fn(GpuKind) -> bool,
        mut open: impl FnMut(Option<GpuKind>) -> Result<T, E>,
    ) -> Result<(T, Option<E>), E> {
        match self.open(is_built, &mut open) {
            Err(error) if self.gpu().is_some() => open(None).map(|opened| (opened, Some(error))),
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Opened = Result<(&'static str, Option<String>), String>;

    /// A machine with these cards, and a build that knows both kinds.
    fn machine(cards: &[GpuKind]) -> impl Fn(Option<GpuKind>) -> Result<&'static str, String> {
        move |gpu| match gpu {
            None => Ok("processor"),
            Some(kind) if cards.contains(&kind) => Ok(kind.name()),
            Some(kind) => Err(format!("no {}", kind.name())),
        }
    }

    #[track_caller]
    fn check(choice: DeviceChoice, cards: &[GpuKind], strict: &Opened, lenient: &Opened) {
        assert_eq!(choice.open(|_| true, machine(cards)), *strict);
        assert_eq!(choice.open_or_cpu(|_| true, machine(cards)), *lenient);
    }

    fn good(what: &'static str) -> Opened {
        Ok((what, None))
    }

    fn instead(of: &str) -> Opened {
        Ok(("processor", Some(of.to_owned())))
    }

    #[test]
    fn a_card_that_works_is_taken_and_the_processor_in_its_place() {
        use DeviceChoice::{Auto, Cpu, Cuda, Metal};
        check(Auto, &GpuKind::ALL, &good("CUDA"), &good("CUDA"));
        check(Auto, &[GpuKind::Metal], &good("Metal"), &good("Metal"));
        check(Auto, &[], &instead("no Metal"), &instead("no Metal"));
        check(Cpu, &GpuKind::ALL, &good("processor"), &good("processor"));
        check(Cuda, &GpuKind::ALL, &good("CUDA"), &good("CUDA"));
        check(Cuda, &[GpuKind::Metal], &Err("no CUDA".to_owned()), &instead("no CUDA"));
        check(Metal, &[], &Err("no Metal".to_owned()), &instead("no Metal"));
    }

    #[test]
    fn kinds_that_are_not_built_are_not_tried() {
        let opened = DeviceChoice::Auto.open(|_| false, machine(&GpuKind::ALL));
        assert_eq!(opened, good("processor"));
    }

    #[test]
    fn where_nothing_works_the_processors_error_is_told() {
        let nothing = |gpu: Option<GpuKind>| Err::<(), _>(gpu.map_or("no model", GpuKind::name));
        for choice in DeviceChoice::ALL {
            assert_eq!(choice.open_or_cpu(|_| true, nothing), Err("no model"));
        }
    }

    #[test]
    fn names_are_read_back() {
        for choice in DeviceChoice::ALL {
            assert_eq!(DeviceChoice::named(choice.name()), Some(choice));
        }
        assert_eq!(DeviceChoice::named("tpu"), None);
    }
}
