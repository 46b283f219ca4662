//! The pages of parameters that hardware controllers show: eight at a time, those that are
//! used together on one.

use nice_plug::prelude::*;

use super::ContinuoParams;

/// Describes the pages to a CLAP host.
pub fn describe(params: &ContinuoParams, context: &mut impl RemoteControlsContext) {
    let p = params;
    context.add_section("Play", |section| {
        section.add_page("Answer", |page| {
            page.add_param(&p.trigger);
            page.add_param(&p.again);
            page.add_param(&p.vary);
            page.add_param(&p.stop);
            page.add_param(&p.mode);
            page.add_param(&p.start);
            page.add_param(&p.bars);
            page.add_param(&p.clear);
        });
        section.add_page("Takes", |page| {
            page.add_param(&p.take);
            page.add_param(&p.previous);
            page.add_param(&p.next);
            page.add_param(&p.takes);
            page.add_param(&p.keep);
            page.add_param(&p.discard);
            page.add_param(&p.undo);
            page.add_param(&p.redo);
        });
        section.add_page("Turns", |page| {
            page.add_param(&p.pause);
            page.add_param(&p.turn);
            page.add_param(&p.yields);
            page.add_param(&p.listen);
            page.add_param(&p.through);
            page.add_param(&p.preview);
            page.add_param(&p.preview_level);
            page.add_param(&p.bypass);
        });
    });
    context.add_section("Notes", |section| {
        section.add_page("Limits", |page| {
            page.add_param(&p.root);
            page.add_param(&p.scale);
            page.add_param(&p.low);
            page.add_param(&p.high);
            page.add_param(&p.polyphony);
            page.add_param(&p.density);
            page.add_param(&p.grid);
            page.add_param(&p.keep_rhythm);
        });
        section.add_page("Chance and feel", |page| {
            page.add_param(&p.temperature);
            page.add_param(&p.top_k);
            page.add_param(&p.top_p);
            page.add_param(&p.min_p);
            page.add_param(&p.no_repeat);
            page.add_param(&p.seed);
            page.add_param(&p.follow_velocity);
            page.add_param(&p.follow_timing);
        });
        section.add_page("Set-up", |page| {
            page.add_param(&p.drums);
            page.add_param(&p.trigger_note);
            page.add_param(&p.trigger_cc);
        });
    });
}
