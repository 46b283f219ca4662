//! Ardour's session file, where its interpreter has no word for what is wanted: a
//! region from a MIDI file, the tempo, a loop, what is exported.

use anyhow::{Context, Result, bail};

/// Ticks a beat, in a session file and whatever else Ardour says.
pub(crate) const PER_BEAT: f64 = 1920.0;

/// A session file's text.
#[derive(Clone, Debug)]
pub struct Text(pub String);

impl Text {
    /// Puts a region over the whole of a MIDI file, `beats` long, at the beginning of
    /// a track. The file lies among the session's own.
    ///
    /// # Errors
    /// When the text is not that of a session with this track.
    pub fn add_region(&mut self, track: &str, file: &str, beats: f64) -> Result<()> {
        let id: u32 = self.attribute("<Session ", "id-counter")?.parse()?;
        let (source, whole, region) = (id + 1, id + 2, id + 3);
        self.set_attribute("<Session ", "id-counter", &(id + 10).to_string())?;
        self.put_into(
            "Sources",
            &format!(
                "<Source name=\"{file}\" take-id=\"\" type=\"midi\" flags=\"\" id=\"{source}\" \
                 captured-for=\"{track}\"/>"
            ),
        )?;
        let length = format!("b{}@b0", ticks(beats));
        let region_of = |id: u32, whole: u8| {
            format!(
                "<Region name=\"{track}\" muted=\"0\" opaque=\"1\" locked=\"0\" whole-file=\"{whole}\" \
                 import=\"1\" external=\"0\" hidden=\"0\" start=\"b0\" length=\"{length}\" \
                 ancestral-start=\"b0\" ancestral-length=\"{length}\" stretch=\"1\" shift=\"1\" \
                 layering-index=\"0\" id=\"{id}\" type=\"midi\" first-edit=\"nothing\" \
                 source-0=\"{source}\" master-source-0=\"{source}\"/>"
            )
        };
        self.put_into("Regions", &region_of(whole, 1))?;
        let playlist = self.element_with("<Playlist ", &format!("name=\"{track}\""))?;
        self.put_into_element(&playlist, "Playlist", &region_of(region, 0))
    }

    /// Sets the tempo, in beats a minute, from the beginning on.
    ///
    /// # Errors
    /// When the text is not that of a session.
    pub fn set_tempo(&mut self, bpm: f64) -> Result<()> {
        for name in ["npm", "enpm"] {
            self.set_attribute("<Tempo ", name, &bpm.to_string())?;
        }
        Ok(())
    }

    /// Sets what is looped, in beats.
    ///
    /// # Errors
    /// When the text is not that of a session.
    pub fn set_loop(&mut self, from: f64, to: f64) -> Result<()> {
        let (from, to) = (ticks(from), ticks(to));
        let location = format!(
            "<Location id=\"900001\" name=\"Loop\" start=\"b{from}\" end=\"b{to}\" \
             flags=\"IsAutoLoop,IsHidden\" locked=\"0\" timestamp=\"0\" cue=\"0\"/>"
        );
        self.put_into("Locations", &location)
    }

    /// Sets what is exported: the first `beats`.
    ///
    /// # Errors
    /// When the text is not that of a session.
    pub fn set_range(&mut self, beats: f64) -> Result<()> {
        let end = ticks(beats);
        let location = format!(
            "<Location id=\"900002\" name=\"session\" start=\"b0\" end=\"b{end}\" flags=\"IsSessionRange\" \
             locked=\"0\" timestamp=\"0\" cue=\"0\"/>"
        );
        self.put_into("Locations", &location)
    }

    fn put_into(&mut self, element: &str, what: &str) -> Result<()> {
        self.put_into_element(&format!("<{element}"), element, what)
    }

    /// Puts something first into the element that begins with `begin`.
    fn put_into_element(&mut self, begin: &str, name: &str, what: &str) -> Result<()> {
        let at = self.0.find(begin).with_context(|| format!("the session has no {begin}"))?;
        let end = at + self.0[at..].find('>').context("an element has no end")?;
        if self.0[..end].ends_with('/') {
            self.0.replace_range(end - 1..=end, &format!(">{what}</{name}>"));
        } else {
            self.0.insert_str(end + 1, what);
        }
        Ok(())
    }

    /// The tag of the first element that begins with `begin` and holds `attribute`.
    fn element_with(&self, begin: &str, attribute: &str) -> Result<String> {
        let tags = self.0.match_indices(begin).filter_map(|(at, _)| self.0[at..].split('>').next());
        let found = tags.into_iter().find(|tag| tag.contains(attribute));
        found.map(str::to_owned).with_context(|| format!("the session has no {begin}{attribute}>"))
    }

    fn attribute(&self, begin: &str, name: &str) -> Result<&str> {
        let range = self.attribute_range(begin, name)?;
        Ok(&self.0[range])
    }

    fn set_attribute(&mut self, begin: &str, name: &str, value: &str) -> Result<()> {
        let range = self.attribute_range(begin, name)?;
        self.0.replace_range(range, value);
        Ok(())
    }

    fn attribute_range(&self, begin: &str, name: &str) -> Result<std::ops::Range<usize>> {
        let at = self.0.find(begin).with_context(|| format!("the session has no {begin}>"))?;
        let key = format!(" {name}=\"");
        let tag = &self.0[at..];
        let tag = &tag[..tag.find('>').unwrap_or(tag.len())];
        let Some(offset) = tag.find(&key) else { bail!("{begin}> has no {name}") };
        let start = at + offset + key.len();
        let length = self.0[start..].find('"').context("an attribute has no end")?;
        Ok(start..start + length)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as wanted")]
fn ticks(beats: f64) -> i64 {
    (beats * PER_BEAT).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "<Session version=\"7002\" id-counter=\"40\"><Sources/><Regions/><Locations/>\
        <Tempo npm=\"120\" enpm=\"120\"/><Playlist id=\"9\" name=\"DST\"/><Playlist id=\"8\" name=\"SRC\"/>\
        </Session>";

    #[test]
    fn regions_tempos_and_loops_find_their_places() {
        let mut text = Text(EMPTY.to_owned());
        text.add_region("SRC", "phrase.mid", 4.0).unwrap();
        text.set_tempo(97.0).unwrap();
        text.set_loop(4.0, 8.0).unwrap();
        let Text(text) = text;
        assert!(text.contains("id-counter=\"50\""), "{text}");
        assert!(text.contains("<Sources><Source name=\"phrase.mid\""), "{text}");
        assert!(text.contains("<Playlist id=\"8\" name=\"SRC\"><Region "), "{text}");
        assert!(text.contains("<Tempo npm=\"97\" enpm=\"97\"/>"), "{text}");
        assert!(text.contains("start=\"b7680\" end=\"b15360\""), "{text}");
    }

    #[test]
    fn what_is_no_session_is_refused() {
        assert!(Text("<Other/>".to_owned()).set_tempo(97.0).is_err());
    }
}
