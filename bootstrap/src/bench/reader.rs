//! The options that are the same for every kind of cell, read one by one; a wrong one leaves its default in place, so that
//! the rest can be read.

use std::path::Path;

use prefab_contract::engine::{Memory, MemoryPath, Mode, Operation, Transport};
use prefab_contract::kv::TensorParallel;

use super::available::Available;
use super::mistakes::{Mistakes, Wrong};
use super::options::Options;
use super::pacing::{self, Prefill};
use super::plan::Scheme;
use super::planned::Planned;
use super::values::{bytes, millionths, named, number};

/// Options on their way to a plan, with what was wrong so far.
pub(crate) struct Reader<'a> {
    /// As given.
    pub(crate) options: &'a Options,
    /// What the cluster is planned to be.
    pub(crate) planned: &'a Planned,
    /// What was wrong so far.
    pub(crate) mistakes: Mistakes,
    /// What the report must say of choices.
    pub(crate) remarks: Vec<String>,
}

/// What is the same for all kinds of cells.
pub(crate) struct Common {
    pub(crate) transports: Vec<Transport>,
    pub(crate) operations: Vec<Vec<Operation>>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) memory_path: Option<MemoryPath>,
    pub(crate) decode: bool,
    pub(crate) fragmentations_ppm: Vec<u32>,
    pub(crate) scheme: Scheme,
    pub(crate) endpoints: Option<u32>,
    pub(crate) streams: u32,
    pub(crate) working_set: Option<u64>,
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
    pub(crate) prefill: Option<Prefill>,
}

impl Reader<'_> {
    pub(crate) fn common(&mut self, engine: &Path) -> Common {
        let memory = self.memory();
        Common {
            transports: self.transports(engine, &memory),
            operations: self.operations(),
            memory_path: self.memory_path(&memory),
            decode: self.decode(&memory),
            memory,
            fragmentations_ppm: self.list("--fragmentation", &self.options.fragmentation, &[1_000_000], |text| {
                millionths(text, "0 puts the blocks of a region in one run, 1 leaves every block alone")
            }),
            scheme: self.one("--scheme", self.options.scheme.as_deref(), Scheme::Pairwise, |text| {
                named(text, &Scheme::ALL, Scheme::name)
            }),
            endpoints: self.count("--endpoints", self.options.endpoints.as_deref(), 64),
            streams: self.count("--threads", self.options.threads.as_deref(), 64).unwrap_or(1),
            working_set: self.options.working_set.as_deref().and_then(|text| {
                let action = "at least four times the last-level cache; less measures the cache";
                self.mistakes.take("--working-set", bytes(text, 0..=1 << 44, action))
            }),
            seed: self.one("--seed", self.options.seed.as_deref(), 1, |text| {
                number(text, 0..=u64::MAX, "any number; equal ones give equal tables")
            }),
            mode: pacing::mode(self.options, &mut self.mistakes),
            prefill: pacing::prefill(self.options, &mut self.mistakes),
        }
    }

    fn transports(&mut self, engine: &Path, memory: &[Memory]) -> Vec<Transport> {
        let read = |text: &str| named(text, &Transport::ALL, Transport::name);
        let has_gpu = memory.contains(&Memory::Gpu);
        if !self.options.transports.is_empty() {
            let asked = self.list("--transport", &self.options.transports, &[], read);
            if asked.contains(&Transport::Peer) && !has_gpu {
                let expected = "GPU memory, between which it moves bytes";
                self.mistakes.add("--transport", "peer with host memory", expected, "add --memory gpu");
            }
            return asked;
        }
        if self.options.local {
            let available = Available::ask(engine);
            let (here, absent) = available.locally(has_gpu);
            self.remarks.extend(absent.into_iter().map(|(transport, why)| format!("{transport} was left out: {why}")));
            return here;
        }
        let planned = self.planned.benchmark().map_or(&[][..], |benchmark| &benchmark.transports);
        self.list("--config", planned, &[Transport::Efa, Transport::Tcp], read)
    }

    /// The operations, each a list of candidates: one, or those of `auto`.
    fn operations(&mut self) -> Vec<Vec<Operation>> {
        let read = |text: &str| match text {
            "auto" => Ok(Operation::ALL.to_vec()),
            _ => named(text, &Operation::ALL, Operation::name)
                .map(|operation| vec![operation])
                .map_err(|wrong| Wrong { expected: format!("{}, auto", wrong.expected), ..wrong }),
        };
        let planned = self.planned.benchmark().map_or(&[][..], |benchmark| &benchmark.operations);
        let (option, asked) = if self.options.operations.is_empty() {
            ("--config", planned)
        } else {
            ("--op", &self.options.operations[..])
        };
        self.list(option, asked, &[vec![Operation::Read]], read)
    }

    fn memory(&mut self) -> Vec<Memory> {
        // Unasked, GPU memory is measured only where it was planned: it needs a driver.
        let planned = self.planned.benchmark().map_or(&[][..], |benchmark| &benchmark.memory);
        let is_asked = !self.options.memory.is_empty();
        let (option, asked) = if is_asked { ("--memory", &self.options.memory[..]) } else { ("--config", planned) };
        self.list(option, asked, &[Memory::Host], |text| named(text, &[Memory::Host, Memory::Gpu], Memory::name))
    }

    /// GPUs that are asked for.
    pub(crate) fn gpus(&mut self) -> Vec<u32> {
        let read =
            |text: &str| number(text, 0..=1023, "give indices as CUDA counts them; `prefab-fabric gpus` lists them");
        let asked = self.list("--gpus", &self.options.gpus, &[], read);
        asked.into_iter().filter_map(|index| u32::try_from(index).ok()).collect()
    }

    fn decode(&mut self, memory: &[Memory]) -> bool {
        if self.options.decode && !memory.contains(&Memory::Gpu) {
            let expected = "GPU memory, beside which decoding runs";
            self.mistakes.add("--decode", "decoding without GPU memory", expected, "add --memory gpu, or leave it out");
        }
        self.options.decode
    }

    fn memory_path(&mut self, memory: &[Memory]) -> Option<MemoryPath> {
        let asked = self.options.memory_path.as_deref()?;
        if !memory.contains(&Memory::Gpu) {
            let expected = "GPU memory, which such a path leads to";
            self.mistakes.add(
                "--memory-path",
                "a path without GPU memory",
                expected,
                "add --memory gpu, or leave it out",
            );
        }
        self.mistakes.take("--memory-path", named(asked, &MemoryPath::ALL, MemoryPath::name))
    }

    /// Ranks of both sides: one number for both, or one each.
    pub(crate) fn ranks(&mut self, usual: TensorParallel) -> TensorParallel {
        let Options { tp, prefill_tp, decode_tp, .. } = self.options;
        if tp.is_some() && (prefill_tp.is_some() || decode_tp.is_some()) {
            let expected = "--tp for both sides, or --prefill-tp and --decode-tp";
            self.mistakes.add("--tp", "--tp beside --prefill-tp or --decode-tp", expected, "leave one out");
        }
        let same = self.count("--tp", tp.as_deref(), u64::from(u32::MAX));
        let prefill = self.count("--prefill-tp", prefill_tp.as_deref(), u64::from(u32::MAX));
        let decode = self.count("--decode-tp", decode_tp.as_deref(), u64::from(u32::MAX));
        TensorParallel {
            prefill: prefill.or(same).unwrap_or(usual.prefill),
            decode: decode.or(same).unwrap_or(usual.decode),
        }
    }

    /// A list of values, or the usual ones.
    pub(crate) fn list<T: Clone>(
        &mut self,
        option: &str,
        asked: &[String],
        usual: &[T],
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Vec<T> {
        let values: Vec<T> = asked.iter().filter_map(|text| self.mistakes.take(option, read(text))).collect();
        if values.is_empty() { usual.to_vec() } else { values }
    }

    /// One value, or the usual one.
    pub(crate) fn one<T>(
        &mut self,
        option: &str,
        asked: Option<&str>,
        usual: T,
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> T {
        asked.and_then(|text| self.mistakes.take(option, read(text))).unwrap_or(usual)
    }

    /// A count from 1, if one is asked for.
    pub(crate) fn count(&mut self, option: &str, asked: Option<&str>, most: u64) -> Option<u32> {
        let read = asked.and_then(|text| self.mistakes.take(option, number(text, 1..=most, "give how many there are")));
        read.and_then(|count| u32::try_from(count).ok())
    }
}
