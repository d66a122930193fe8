//! How figures were made, and what they do not say.

use super::Context;
use crate::report::model::Section;
use crate::report::statistics::{CONFIDENCE, LEAST_SAMPLES};

pub(super) fn section(_: &Context<'_>) -> Section {
    let text = [
        "A request is all descriptors of one rank's KV cache. Its clock starts when the post call is entered, with the tables \
         made, and ends when the initiator knows that every byte is in its final place and the consumer was told. Writing, \
         poisoning and comparing data lie outside.",
        "One-sided: each run of adjacent blocks is an operation of its own and the target posts nothing. Receiver-assisted: \
         the source gathers, the target places and answers. The two are never mixed in one figure.",
        "In request mode requests run in rounds, all of them verified. In steady mode they follow each other for a window of time; \
         those that end inside it count, and the first, the last and one at random are verified.",
        "Ratios to a ceiling are medians over rounds, each taken against the best plain loop of the same round.",
    ];
    let mut text: Vec<String> = text.map(str::to_owned).to_vec();
    text.push(format!(
        "Intervals hold the median with {:.0} % confidence. They come from resampling neighbouring samples together, with a \
         fixed seed, and are told from {LEAST_SAMPLES} samples on. They cover the noise within a run, not what differs from run to run.",
        CONFIDENCE * 100.0
    ));
    text.push(
        "A GB is 1,000,000,000 bytes, an MB 1,000,000, a KiB 1,024. A dash was not measured. `A 3` is the entry `cases[3]` of \
         file A, counted from 0."
            .to_owned(),
    );
    Section { id: "method", title: "How this was measured", text, exhibits: Vec::new() }
}
