//! What MLflow takes of names and values, and batches that it takes whole.

use serde::{Deserialize, Serialize};

/// Characters of a name of a metric, param or tag.
const MOST_NAME: usize = 250;
/// Characters of a param's value.
const MOST_PARAM: usize = 6000;
/// Characters of a tag's value; newer servers take 8,000.
const MOST_TAG: usize = 5000;
/// What ends a value that was cut.
const CUT: &str = "… (cut; whole in the artifacts)";
/// Items of one batch.
const MOST_METRICS: usize = 1000;
const MOST_PARAMS: usize = 100;
const MOST_TAGS: usize = 100;
const MOST_ITEMS: usize = 1000;
/// Bytes of one batch's body; MLflow takes 1 MB.
const MOST_BYTES: usize = 900_000;

/// A figure at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name.
    pub key: String,
    /// Its value; one that is not finite is told by a tag instead, because JSON has no word for it.
    pub value: f64,
    /// Milliseconds since 1970. A metric that is sent twice with one timestamp and step is one metric.
    pub timestamp: i64,
    /// Its place in a series.
    pub step: i64,
}

/// A name and a text: a param or a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The name.
    pub key: String,
    /// The text.
    pub value: String,
}

impl Pair {
    /// A name and a text.
    pub fn new(key: &str, value: impl Into<String>) -> Self {
        Self { key: key.to_owned(), value: value.into() }
    }
}

/// What one call of `runs/log-batch` carries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// At most 1,000.
    pub metrics: Vec<Metric>,
    /// At most 100.
    pub params: Vec<Pair>,
    /// At most 100.
    pub tags: Vec<Pair>,
}

/// Cuts everything into batches that MLflow takes. Whatever it would refuse is made fit, and nothing is left out: names get
/// other characters, long texts an end that says so, figures that are not finite become tags.
pub fn batches(metrics: &[Metric], params: &[Pair], tags: &[Pair]) -> Vec<Batch> {
    let mut packer = Packer::default();
    for param in params {
        packer.add(Item::Param(fit(param, MOST_PARAM)));
    }
    for tag in tags {
        packer.add(Item::Tag(fit(tag, MOST_TAG)));
    }
    for metric in metrics {
        let key = name(&metric.key);
        packer.add(if metric.value.is_finite() {
            Item::Metric(Metric { key, ..metric.clone() })
        } else {
            Item::Tag(Pair::new(&name(&format!("not_finite.{key}")), metric.value.to_string()))
        });
    }
    packer.done
}

/// A tag as MLflow takes it.
pub fn tag(tag: &Pair) -> Pair {
    fit(tag, MOST_TAG)
}

/// Whether a param's text is longer than MLflow keeps.
pub fn is_cut(param: &Pair) -> bool {
    param.value.chars().count() > MOST_PARAM
}

enum Item {
    Metric(Metric),
    Param(Pair),
    Tag(Pair),
}

#[derive(Default)]
struct Packer {
    done: Vec<Batch>,
    bytes: usize,
}

impl Packer {
    fn add(&mut self, item: Item) {
        // Escapes may double a text; names, numbers and punctuation of an item take less than 200 bytes.
        let size = 200
            + match &item {
                Item::Metric(metric) => metric.key.len() * 2,
                Item::Param(pair) | Item::Tag(pair) => (pair.key.len() + pair.value.len()) * 2,
            };
        let is_full = self.done.last().is_none_or(|batch| {
            let count = batch.metrics.len() + batch.params.len() + batch.tags.len();
            let of_kind = match &item {
                Item::Metric(_) => batch.metrics.len() >= MOST_METRICS,
                Item::Param(_) => batch.params.len() >= MOST_PARAMS,
                Item::Tag(_) => batch.tags.len() >= MOST_TAGS,
            };
            of_kind || count >= MOST_ITEMS || self.bytes + size > MOST_BYTES
        });
        if is_full {
            self.done.push(Batch::default());
            self.bytes = 0;
        }
        self.bytes += size;
        let Some(batch) = self.done.last_mut() else { return };
        match item {
            Item::Metric(metric) => batch.metrics.push(metric),
            Item::Param(pair) => batch.params.push(pair),
            Item::Tag(pair) => batch.tags.push(pair),
        }
    }
}

fn fit(pair: &Pair, most: usize) -> Pair {
    let value = if pair.value.chars().count() > most {
        let kept: String = pair.value.chars().take(most - CUT.chars().count()).collect();
        kept + CUT
    } else {
        pair.value.clone()
    };
    Pair { key: name(&pair.key), value }
}

/// A name that MLflow takes: letters, digits, `_`, `-`, `.`, `/` and blanks, and no path that means another one, because
/// some servers keep a metric in a file of its name.
fn name(text: &str) -> String {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ');
    let name: String = text.chars().map(|c| if is_taken(c) { c } else { '_' }).take(MOST_NAME).collect();
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) { name.replace('/', "_") + "_" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(key: &str, value: f64) -> Metric {
        Metric { key: key.to_owned(), value, timestamp: 1, step: 0 }
    }

    #[test]
    fn every_batch_is_within_all_limits_and_nothing_is_lost() {
        let metrics: Vec<Metric> = (0..2500).map(|n| metric(&format!("m{n}"), f64::from(n))).collect();
        let params: Vec<Pair> = (0..350).map(|n| Pair::new(&format!("p{n}"), "x".repeat(7000))).collect();
        let tags: Vec<Pair> = (0..250).map(|n| Pair::new(&format!("t{n}"), "ü".repeat(6000))).collect();
        let batches = batches(&metrics, &params, &tags);
        for batch in &batches {
            assert!(batch.metrics.len() <= 1000 && batch.params.len() <= 100 && batch.tags.len() <= 100);
            assert!(batch.metrics.len() + batch.params.len() + batch.tags.len() <= 1000);
            assert!(serde_json::to_string(batch).unwrap().len() < 1_000_000);
        }
        let count = |of: fn(&Batch) -> usize| batches.iter().map(of).sum::<usize>();
        assert_eq!(count(|batch| batch.metrics.len()), 2500);
        assert_eq!((count(|batch| batch.params.len()), count(|batch| batch.tags.len())), (350, 250));
    }

    /// K131: a long param is shortened with a mark.
    #[test]
    fn k131_long_texts_are_cut_with_a_mark_at_a_whole_character() {
        for length in [6001, 200_000] {
            let param = Pair::new("long", "ü".repeat(length));
            assert!(is_cut(&param));
            let cut = fit(&param, MOST_PARAM).value;
            assert_eq!(cut.chars().count(), 6000);
            assert!(cut.ends_with("(cut; whole in the artifacts)"));
        }
        assert!(!is_cut(&Pair::new("fits", "ü".repeat(6000))));
    }

    #[test]
    fn figures_that_are_not_finite_become_tags_and_break_no_batch() {
        let batches = batches(&[metric("a", f64::NAN), metric("b", f64::NEG_INFINITY), metric("c", 1.0)], &[], &[]);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].metrics, [metric("c", 1.0)]);
        assert_eq!(batches[0].tags, [Pair::new("not_finite.a", "NaN"), Pair::new("not_finite.b", "-inf")]);
    }

    #[test]
    fn names_get_the_characters_that_mlflow_takes() {
        assert_eq!(name("a:b\u{fc}(c) d/e"), "a_b__c_ d/e");
        assert_eq!(name(&"x".repeat(300)).len(), 250);
        for (odd, fit) in [("", "_"), ("..", ".._"), ("/a", "_a_"), ("a//b", "a__b_"), ("a/../b", "a_.._b_")] {
            assert_eq!(name(odd), fit);
        }
    }
}
