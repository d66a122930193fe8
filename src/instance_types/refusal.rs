//! Why an instance type is not accepted, in the words that a finding needs.

use std::fmt;

use super::{by_size, rows};

/// A type that prefab does not accept, and the most fundamental reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The name as it was asked for.
    pub name: String,
    /// Why it is not accepted.
    pub reason: Reason,
}

/// The reasons, the most fundamental first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No such type is in the catalogue.
    Unknown {
        /// An accepted type whose name is close to the one asked for.
        nearest: Option<String>,
    },
    /// The accelerators are not NVIDIA GPUs.
    NotNvidia {
        /// What the type has instead.
        accelerator: String,
    },
    /// The processor is not x86_64: the node programs do not run on it.
    Arm64,
    /// The family is known, this size of it has no EFA.
    NoEfa {
        /// The family, such as `g6e`.
        family: String,
        /// The types of the family that have EFA, small ones first; empty where the whole family has none.
        sizes_with_efa: Vec<String>,
    },
    /// The type has EFA, but the catalogue lacks facts that a cluster depends on.
    Incomplete {
        /// The empty columns of its row.
        missing: Vec<&'static str>,
    },
}

impl Refusal {
    /// The stable, kebab-case code of the finding.
    pub fn code(&self) -> &'static str {
        match self.reason {
            Reason::Unknown { .. } => "unknown-instance-type",
            Reason::NotNvidia { .. } => "not-an-nvidia-gpu",
            Reason::Arm64 => "arm64-instance-type",
            Reason::NoEfa { .. } => "instance-type-without-efa",
            Reason::Incomplete { .. } => "incomplete-instance-type",
        }
    }

    /// What was found.
    pub fn found(&self) -> String {
        let name = &self.name;
        match &self.reason {
            Reason::Unknown { .. } => {
                format!("`{name}`, which is not in the catalogue of types with EFA and accelerators")
            }
            Reason::NotNvidia { accelerator } => format!("`{name}`, which has {accelerator}"),
            Reason::Arm64 => format!("`{name}`, which has an arm64 processor"),
            Reason::NoEfa { .. } => format!("`{name}`, which has no EFA"),
            Reason::Incomplete { missing } => {
                format!("`{name}`, whose catalogue row lacks {}", missing.join(", "))
            }
        }
    }

    /// What is allowed instead.
    pub fn allowed(&self) -> String {
        match &self.reason {
            Reason::Unknown { .. } => "an instance type with EFA and NVIDIA GPUs".to_owned(),
            Reason::NotNvidia { .. } => "an instance type with NVIDIA GPUs".to_owned(),
            Reason::Arm64 => "an x86_64 instance type".to_owned(),
            Reason::NoEfa { family, sizes_with_efa } if sizes_with_efa.is_empty() => {
                format!("an instance type with EFA; no size of {family} has it")
            }
            Reason::NoEfa { family, sizes_with_efa } => {
                format!("a size of {family} with EFA: {}", sizes_with_efa.join(", "))
            }
            Reason::Incomplete { .. } => "an instance type whose facts are all known".to_owned(),
        }
    }

    /// What to do next.
    pub fn action(&self) -> String {
        const LIST: &str = "`prefab instance-types` lists the accepted types";
        match &self.reason {
            Reason::Unknown { nearest: Some(nearest) } => format!("did you mean `{nearest}`?"),
            Reason::Unknown { nearest: None } => {
                format!("{LIST}; others come with `apply`, which can ask EC2 for their facts")
            }
            Reason::NotNvidia { .. } => LIST.to_owned(),
            Reason::Arm64 => format!("choose another type: the node programs are built for x86_64; {LIST}"),
            Reason::NoEfa { sizes_with_efa, .. } => {
                match sizes_with_efa.iter().find(|name| super::find(name).is_ok()) {
                    Some(name) => format!("use `{name}` or a larger size"),
                    None => format!("choose another family; {LIST}"),
                }
            }
            Reason::Incomplete { missing } => {
                format!(
                    "choose another type, or find {} and add it with its source to the catalogue",
                    missing.join(", ")
                )
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}; allowed is {}; {}", self.found(), self.allowed(), self.action())
    }
}

impl std::error::Error for Refusal {}

/// Accelerator families of EC2 of which no size has EFA: their names must not become suggestions of similar ones.
const FAMILIES_WITHOUT_EFA: &[&str] = &["g3", "g3s", "g4ad", "g5g", "g6f", "gr6f", "p2", "p3"];

/// Sizes that EC2 gives to accelerator types: a name with another size is a typing error, not a size without EFA.
const SIZES: &[&str] = &[
    "large", "xlarge", "2xlarge", "3xlarge", "4xlarge", "6xlarge", "8xlarge", "9xlarge", "12xlarge", "16xlarge",
    "24xlarge", "32xlarge", "36xlarge", "48xlarge", "metal",
];

/// The reason for a name without a row.
pub(super) fn reason_without_row(name: &str) -> Reason {
    let known = name.split_once('.').filter(|(_, size)| SIZES.contains(size)).and_then(|(family, _)| {
        let rows: Vec<_> = rows().filter(|row| row.family() == family).collect();
        // What holds for the whole family is more fundamental than the size.
        match rows.first() {
            Some(row) => super::fundamental(row).or_else(|| {
                let mut sizes_with_efa: Vec<String> = rows.iter().map(|row| row.instance_type.clone()).collect();
                sizes_with_efa.sort_by_cached_key(|name| by_size(name));
                Some(Reason::NoEfa { family: family.to_owned(), sizes_with_efa })
            }),
            None if FAMILIES_WITHOUT_EFA.contains(&family) => {
                Some(Reason::NoEfa { family: family.to_owned(), sizes_with_efa: Vec::new() })
            }
            None => None,
        }
    });
    known.unwrap_or_else(|| Reason::Unknown { nearest: nearest(name) })
}

/// The accepted type within two typing errors of `name`.
///
/// The first letter says the class of a type (`m5` is no misspelt `g5`), so it has to agree.
fn nearest(name: &str) -> Option<String> {
    const TYPING_ERRORS: usize = 2;
    // No type has a name half as long; the distance of a long text would only cost time.
    if name.len() > 40 {
        return None;
    }
    let name = name.trim().to_ascii_lowercase();
    // Dots and dashes are what people leave out, so letters and digits weigh first: `g6e12` is `g6e.12`, not `g6.12`.
    let bare = |name: &str| name.replace(['.', '-'], "");
    super::accepted()
        .filter(|known| known.name.get(..1) == name.get(..1))
        .filter(|known| strsim::damerau_levenshtein(&known.name, &name) <= TYPING_ERRORS)
        .min_by_key(|known| (strsim::damerau_levenshtein(&bare(&known.name), &bare(&name)), by_size(&known.name)))
        .map(|known| known.name.clone())
}
