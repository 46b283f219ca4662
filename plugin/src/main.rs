//! The plugin as a program of its own, on JACK or ALSA.

fn main() {
    continuo_plugin::params::STANDALONE.store(true, std::sync::atomic::Ordering::Relaxed);
    nice_plug::nice_export_standalone::<continuo_plugin::Continuo>();
}
