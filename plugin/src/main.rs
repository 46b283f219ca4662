//! The plugin as a program of its own, on JACK or ALSA.

fn main() {
    nice_plug::nice_export_standalone::<continuo_plugin::Continuo>();
}
