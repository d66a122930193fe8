//! What to do about a word that is not known at its place: the nearest known one, or where it belongs.

use std::sync::LazyLock;

use super::form::FIELDS;
use super::shape::{Field, Shape};

/// Words that mean a known one without being spelled like it.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("ami", "id"),
    ("ami", "image"),
    ("az", "availability_zone"),
    ("false", "none"),
    ("instances", "count"),
    ("labels", "tags"),
    ("no", "false"),
    ("nodes", "count"),
    ("odcr", "reservation"),
    ("off", "false"),
    ("on", "true"),
    ("replicas", "count"),
    ("sagemaker", "tracking-server"),
    ("source", "cidr"),
    ("timeout", "timeout_minutes"),
    ("tp", "tensor_parallel"),
    ("type", "kind"),
    ("y", "true"),
    ("yes", "true"),
];

/// The longest word that is compared. No known one is half as long, and comparing takes the product of both lengths.
const MOST_CHARACTERS: usize = 64;

/// The known name that `word` most likely stands for, as advice.
pub(super) fn did_you_mean<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    let name = misspelt(word, &names).or_else(|| same_words(word, &names)).or_else(|| other_word(word, &names))?;
    Some(format!("did you mean `{name}`?"))
}

/// Advice for a key that is unknown at `path`, and the neighbour that it stands for, if it is one: a spelling of its
/// neighbours comes first, then its place elsewhere, then what is less alike.
pub(super) fn for_unknown_key<'n>(key: &str, names: &[&'n str], path: &str) -> (Option<&'n str>, String) {
    let near = distance_to_nearest(key, names).filter(|(distance, _)| *distance <= 1).map(|(_, name)| name);
    let elsewhere = || belongs_elsewhere(key, path);
    let meant = near.or_else(|| same_words(key, names));
    match meant {
        None => match elsewhere() {
            Some(advice) => (None, advice),
            None => match misspelt(key, names).or_else(|| other_word(key, names)) {
                Some(name) => (Some(name), format!("did you mean `{name}`?")),
                None => (None, "remove the key; `prefab schema` has the whole form".to_owned()),
            },
        },
        Some(name) => (Some(name), format!("did you mean `{name}`?")),
    }
}

fn distance_to_nearest<'n>(word: &str, names: &[&'n str]) -> Option<(usize, &'n str)> {
    if word.chars().count() > MOST_CHARACTERS {
        return None;
    }
    let word = folded(word);
    let distances = names.iter().map(|name| (strsim::damerau_levenshtein(&word, &folded(name)), *name));
    // In a word of one or two letters, one typing error leaves too little to recognise.
    distances.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance == 0 || word.chars().count() > 2)
}

/// One typing error in three letters.
fn misspelt<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let most = (word.chars().count() / 3).max(1);
    distance_to_nearest(word, names).filter(|(distance, _)| *distance <= most).map(|(_, name)| name)
}

/// Without what people leave out or exchange: case, hyphens, underscores.
fn folded(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// `instance` for `instance_type`, `model_name` for `model`.
fn same_words<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let parts = |text: &str| -> Vec<String> { text.split(['_', '-', ' ']).map(str::to_lowercase).collect() };
    let asked = parts(word);
    let within = |some: &[String], others: &[String]| some.iter().all(|part| others.contains(part));
    let alike = |name: &&&str| within(&asked, &parts(name)) || within(&parts(name), &asked);
    names.iter().find(alike).copied()
}

fn other_word<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let word = word.to_lowercase();
    let meant = OTHER_WORDS.iter().filter(|(other, _)| *other == word);
    meant.flat_map(|(_, name)| names.iter().find(|known| *known == name)).next().copied()
}

/// Every key of the form with the section that has it.
static HOMES: LazyLock<Vec<(&'static str, Home)>> = LazyLock::new(|| {
    let mut homes: Vec<_> = FIELDS.iter().flat_map(|field| keys_of(field, &Home::Top)).collect();
    homes.sort();
    homes
});

/// Where a key does belong that is unknown at `path`. A key that could mean too many places gets no advice.
fn belongs_elsewhere(key: &str, path: &str) -> Option<String> {
    const MOST_HOMES: usize = 3;
    let homes = HOMES.iter().filter(|(name, home)| *name == key && !home.is_at(path)).map(|(_, home)| home);
    let places: Vec<String> = homes.map(Home::describe).collect();
    let clear = (1..=MOST_HOMES).contains(&places.len());
    clear.then(|| format!("move `{key}` {}", places.join(" or ")))
}

/// A section that has a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Home {
    Top,
    Map(String),
    Entry(String),
}

impl Home {
    fn path(&self) -> &str {
        match self {
            Self::Top => "",
            Self::Map(path) | Self::Entry(path) => path,
        }
    }

    fn is_at(&self, path: &str) -> bool {
        match self {
            Self::Entry(home) => path.strip_prefix(home.as_str()).is_some_and(|rest| rest.starts_with('[')),
            _ => self.path() == path,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Top => "to the top level".to_owned(),
            Self::Map(path) => format!("below `{path}`"),
            Self::Entry(path) => format!("into an entry of `{path}`"),
        }
    }
}

fn keys_of(field: &'static Field, parent: &Home) -> Vec<(&'static str, Home)> {
    let path = super::walk::joined(parent.path(), field.name);
    let (home, below): (Home, Vec<&Field>) = match &field.shape {
        Shape::Object(fields) | Shape::OneOf(fields) => (Home::Map(path), fields.iter().collect()),
        Shape::Kinds(kinds) => (Home::Map(path), kinds.iter().flat_map(|kind| kind.fields).collect()),
        Shape::List { of: Shape::Object(fields), .. } => (Home::Entry(path), fields.iter().collect()),
        _ => (Home::Map(path), Vec::new()),
    };
    let here = [(field.name, parent.clone())];
    let mut keys: Vec<_> = here.into_iter().chain(below.into_iter().flat_map(|field| keys_of(field, &home))).collect();
    // Several kinds of a section may have a key of one name.
    keys.sort();
    keys.dedup();
    keys
}

/// `a`, `b`, `c`
pub(super) fn ticked(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// One of `a`, `b`; a single word stands alone.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [only] => format!("`{only}`"),
        _ => format!("one of {}", ticked(words)),
    }
}

/// `1 entry`, `2 entries`
pub(super) fn entries(count: usize) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_recognised_by_spelling_by_its_words_or_by_meaning() {
        let cluster = ["prefill", "decode", "capacity", "placement_group", "image", "instance_type", "count"];
        for (word, name) in [
            ("prefil", "prefill"),
            ("Decode", "decode"),
            ("placementGroup", "placement_group"),
            ("placement-group", "placement_group"),
            ("instance", "instance_type"),
            ("type", "instance_type"),
            ("ami", "image"),
            ("replicas", "count"),
        ] {
            assert_eq!(did_you_mean(word, cluster.into_iter()), Some(format!("did you mean `{name}`?")), "{word}");
        }
        for word in ["kubernetes", "x", "", "security_groups", &"prefill".repeat(40)] {
            assert_eq!(did_you_mean(word, cluster.into_iter()), None, "{word}");
        }
    }

    #[test]
    fn a_key_at_the_wrong_place_is_told_where_it_belongs() {
        for (key, path, advice) in [
            ("placement_group", "", Some("move `placement_group` below `cluster`")),
            ("region", "cluster", Some("move `region` to the top level")),
            ("cidr", "network", Some("move `cidr` into an entry of `expose`")),
            ("trust", "iam", Some("move `trust` below `mlflow`")),
            ("id", "cluster", Some("move `id` below `cluster.capacity` or below `cluster.image`")),
            ("cidr", "expose[0]", None),
            ("colour", "", None),
        ] {
            assert_eq!(belongs_elsewhere(key, path).as_deref(), advice, "{key}");
        }
    }
}
