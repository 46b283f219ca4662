//! What was measured, as a table, as JSON, and as a page that needs nothing but itself.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::encodings::EncodingName;
use crate::eval::answers::{Answers, Voice};
use crate::eval::measures::{self, Measure};
use crate::train::measure::Measured;

/// How well one predicts.
pub struct Row {
    /// The model as it was named, or `5-gram`.
    pub name: String,
    /// How it spells music.
    pub encoding: EncodingName,
    /// On all there was.
    pub measured: Measured,
    /// The notes in that.
    pub notes: usize,
}

/// All of it.
#[derive(Default)]
pub struct Report {
    /// How well each predicts.
    pub rows: Vec<Row>,
    /// How each goes on, if that was asked for.
    pub answers: Option<Answers>,
}

impl Report {
    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::new();
        for Row { name, encoding, measured, notes } in &self.rows {
            let (loss, bits) = (measured.loss(), measured.bits_per_note(*notes));
            let encoding = encoding.as_str();
            let _ = writeln!(table, "{name}: {loss:.4} nats a token, {bits:.2} bits a note ({encoding})");
        }
        let Some(answers) = &self.answers else { return table };
        let _ = writeln!(
            table,
            "\nFour bars after the first four of {} pieces: the mean, and in brackets how far from the human's\n",
            answers.pieces
        );
        let width = answers.voices().map(|(voice, _)| voice.name.chars().count()).max().unwrap_or(0).max(15);
        let _ = write!(table, "{:36}", "");
        for (voice, _) in answers.voices() {
            let _ = write!(table, "  {:>width$}", voice.name);
        }
        table.push('\n');
        for (n, measure) in Measure::ALL.into_iter().enumerate() {
            let _ = write!(table, "{:36}", format!("{} ({})", measure.name(), measure.unit()));
            for (voice, human) in answers.voices() {
                let _ = write!(table, "  {:>width$}", told(voice, human, n));
            }
            table.push('\n');
        }
        table
    }

    /// An object a line: first what predicts, then the human.
    #[must_use]
    pub fn json(&self) -> String {
        let mut lines = String::new();
        for Row { name, encoding, measured, notes } in &self.rows {
            let mut line = json!({
                "name": name, "encoding": encoding.as_str(), "nats_per_token": measured.loss(),
                "bits_per_note": measured.bits_per_note(*notes), "ids": measured.targets, "notes": notes,
            });
            let found = self.answers.as_ref().and_then(|answers| {
                let model = answers.models.iter().find(|model| model.name == *name)?;
                Some(measures_of(model, Some(&answers.human)))
            });
            if let Some(measures) = found {
                line["measures"] = measures;
            }
            let _ = writeln!(lines, "{line}");
        }
        if let Some(answers) = &self.answers {
            let (human, measures) = (&answers.human, measures_of(&answers.human, None));
            let _ = writeln!(lines, "{}", json!({ "name": human.name, "measures": measures }));
        }
        lines
    }

    /// A page with plots: each continuation a dot, the mean a line.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = HEAD.to_owned();
        page += "<h1>Models on music they have not seen</h1>\n<table><tr><th>Model<th>Encoding<th>Nats a token\
                 <th>Bits a note<th>Notes</tr>\n";
        for Row { name, encoding, measured, notes } in &self.rows {
            let _ = writeln!(
                page,
                "<tr><td>{}<td>{}<td>{:.4}<td>{:.2}<td>{notes}</tr>",
                escaped(name),
                encoding.as_str(),
                measured.loss(),
                measured.bits_per_note(*notes)
            );
        }
        page += "</table>\n<p>Bits a note compare models of different encodings; fewer are better.</p>\n";
        if let Some(answers) = &self.answers {
            let _ = writeln!(
                page,
                "<h2>Their answers beside a human's</h2>\n<p>Four bars after the first four of {} pieces, a dot each. \
                 The line is the mean. The distance is how far a model's numbers have to be moved on average to be the \
                 human's; 0 is as the human.</p>",
                answers.pieces
            );
            for (n, measure) in Measure::ALL.into_iter().enumerate() {
                let _ = writeln!(page, "<h3>{} <small>{}</small></h3>", measure.name(), measure.unit());
                page += &plot(answers, n);
            }
        }
        page + "</body></html>\n"
    }
}

/// All measures of one's continuations.
fn measures_of(voice: &Voice, human: Option<&Voice>) -> Value {
    let measures = Measure::ALL.into_iter().enumerate().map(|(n, measure)| {
        let values = &voice.values[n];
        let (mean, distance) = (measures::mean(values), voice.distance(human, n));
        (measure.name().to_owned(), json!({ "mean": mean, "distance": distance, "answers": values.len() }))
    });
    Value::Object(measures.collect())
}

/// A mean, and how far it is from the human's.
fn told(voice: &Voice, human: Option<&Voice>, n: usize) -> String {
    let mean = measures::mean(&voice.values[n]).map_or("-".to_owned(), |mean| format!("{mean:.2}"));
    voice.distance(human, n).map_or(mean.clone(), |distance| format!("{mean} ({distance:.2})"))
}

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Models, measured</title>\n\
    <style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#22252c}\
    table{border-collapse:collapse}th,td{text-align:left;padding:.3rem 1rem .3rem 0;border-bottom:1px solid #ddd}\
    h3{margin:1.5rem 0 .2rem}small{font-weight:normal;color:#777}svg{width:100%;height:auto}\
    svg text{font:13px system-ui,sans-serif;fill:#22252c}</style></head><body>\n";

/// Where the values of a plot begin and end, and how high a row is.
const LEFT: f64 = 200.0;
const RIGHT: f64 = 760.0;
const ROW: f64 = 34.0;

fn plot(answers: &Answers, n: usize) -> String {
    let all = || answers.voices().flat_map(|(voice, _)| &voice.values[n]).copied();
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let room = if high > low { high - low } else { 1.0 };
    let x = |value: f64| LEFT + (value - low) / room * (RIGHT - LEFT);
    let mut y = ROW / 2.0;
    let mut plot = String::new();
    for (voice, human) in answers.voices() {
        let color = if human.is_none() { "#546075" } else { "#00798c" };
        let _ = writeln!(plot, "<text x=\"0\" y=\"{}\">{}</text>", y + 4.0, escaped(&voice.name));
        for value in &voice.values[n] {
            let _ = write!(
                plot,
                "<circle cx=\"{:.1}\" cy=\"{y}\" r=\"5\" fill=\"{color}\" fill-opacity=\".3\"/>",
                x(*value)
            );
        }
        if let Some(mean) = measures::mean(&voice.values[n]) {
            let at = x(mean);
            let _ = writeln!(
                plot,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"{color}\" stroke-width=\"3\"/>",
                y - 12.0,
                y + 12.0
            );
        }
        let _ = writeln!(plot, "<text x=\"780\" y=\"{}\">{}</text>", y + 4.0, told(voice, human, n));
        y += ROW;
    }
    if low.is_finite() {
        let _ = writeln!(
            plot,
            "<text x=\"{LEFT}\" y=\"{y}\">{low:.2}</text><text x=\"{RIGHT}\" y=\"{y}\" text-anchor=\"end\">{high:.2}</text>"
        );
    }
    format!("<svg viewBox=\"0 0 900 {}\" role=\"img\">\n{plot}</svg>\n", y + 8.0)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_called_human_is_measured_as_a_model() {
        let voice =
            |value: f64| Voice { name: "human".to_owned(), values: std::array::from_fn(|_| vec![value]) };
        let rows = vec![Row {
            name: "human".to_owned(),
            encoding: EncodingName::Beat,
            measured: Measured::default(),
            notes: 0,
        }];
        let answers = Answers { pieces: 1, human: voice(1.0), models: vec![voice(3.0)] };
        let json = Report { rows, answers: Some(answers) }.json();
        let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["measures"]["polyphony"]["distance"], 2.0);
        assert_eq!(lines[1]["measures"]["polyphony"]["distance"], Value::Null);
    }

    #[test]
    fn a_page_shows_everybody_and_takes_names_as_text() {
        let voice = |name: &str, value: f64| Voice {
            name: name.to_owned(),
            values: std::array::from_fn(|_| vec![value, value + 1.0]),
        };
        let (human, models) = (voice("human", 1.0), vec![voice("a<b", 3.0)]);
        let measured = Measured { nats: 10.0, targets: 5 };
        let rows = vec![Row { name: "a<b".to_owned(), encoding: EncodingName::Beat, measured, notes: 4 }];
        let report = Report { rows, answers: Some(Answers { pieces: 2, human, models }) };
        let page = report.page();
        assert!(page.contains("a&lt;b") && !page.contains("a<b"), "{page}");
        assert_eq!(page.matches("<circle").count(), 7 * 4);
        assert!(page.contains("3.50 (2.00)"), "{page}");
        let lines: Vec<Value> =
            report.json().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["measures"]["polyphony"]["distance"], 2.0);
        assert_eq!(
            (&lines[1]["name"], &lines[1]["measures"]["polyphony"]["mean"]),
            (&json!("human"), &json!(1.5))
        );
    }
}
