//! The library, opened once and never closed: some providers start threads that would return into nothing.

use std::ffi::{CStr, CString};
use std::fmt;
use std::path::{Path, PathBuf};

use libc::{RTLD_LOCAL, RTLD_NOW, c_char, c_int, c_void};
use libloading::os::unix;

use crate::{fi_fabric_attr, fi_info, fi_version_of, fid_fabric};

/// The newest API that the types here cover: what is requested of a newer library.
pub const NEWEST_API: u32 = fi_version_of(2, 6);

/// How the library lays out its attributes: the version of the symbols that it was asked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Abi {
    /// libfabric 1.9 to 1.19.
    V1_3,
    /// libfabric 1.20 to 1.22.
    V1_7,
    /// libfabric 2.0 to 2.4.
    V1_8,
    /// libfabric 2.5 and 2.6.
    V1_9,
    /// Their successor.
    V1_10,
}

/// Newest first, each with the version of its symbols.
const ABIS: [(Abi, &CStr); 5] = [
    (Abi::V1_10, c"FABRIC_1.10"),
    (Abi::V1_9, c"FABRIC_1.9"),
    (Abi::V1_8, c"FABRIC_1.8"),
    (Abi::V1_7, c"FABRIC_1.7"),
    (Abi::V1_3, c"FABRIC_1.3"),
];

/// The version of the symbols that never changed, and of `fi_fabric`.
const FIRST: &CStr = c"FABRIC_1.0";
const FABRIC: &CStr = c"FABRIC_1.1";

type GetInfo = unsafe extern "C" fn(u32, *const c_char, *const c_char, u64, *const fi_info, *mut *mut fi_info) -> c_int;
type FreeInfo = unsafe extern "C" fn(*mut fi_info);
type DupInfo = unsafe extern "C" fn(*const fi_info) -> *mut fi_info;
type Fabric = unsafe extern "C" fn(*mut fi_fabric_attr, *mut *mut fid_fabric, *mut c_void) -> c_int;
type Version = unsafe extern "C" fn() -> u32;
type StrError = unsafe extern "C" fn(c_int) -> *const c_char;

/// The opened library: its exported functions.
#[derive(Debug, Clone)]
pub struct Library {
    /// Where the loader found it.
    pub path: PathBuf,
    /// What `fi_version` says.
    pub version: u32,
    /// The layout of its attributes.
    pub abi: Abi,
    /// `fi_getinfo`.
    pub getinfo: GetInfo,
    /// `fi_freeinfo`.
    pub freeinfo: FreeInfo,
    /// `fi_dupinfo`; with null, an empty information of the library's own size.
    pub dupinfo: DupInfo,
    /// `fi_fabric`.
    pub fabric: Fabric,
    /// `fi_strerror`.
    pub strerror: StrError,
}

/// Why there is no library to use: one sentence with what was found, what was expected and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// None of the places has one; each with the loader's own words.
    Missing(Vec<(PathBuf, String)>),
    /// There is one that does not open. No other is tried in its place: the node has a broken installation.
    Broken {
        /// Where it lies.
        path: PathBuf,
        /// The loader's own words.
        words: String,
    },
    /// A library opened that lacks a symbol.
    Foreign {
        /// Where it lies.
        path: PathBuf,
        /// What it lacks.
        symbol: &'static str,
    },
    /// The symbols of every ABI that is known here are absent.
    TooOld {
        /// Where it lies.
        path: PathBuf,
        /// What `fi_version` says.
        version: u32,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(tried) => {
                let places: Vec<_> = tried.iter().map(|(path, words)| format!("{}: {words}", path.display())).collect();
                write!(
                    f,
                    "found no libfabric ({}), expected 1.9 or newer; install it by AWS's EFA installer or as libfabric1",
                    places.join("; ")
                )
            }
            Self::Broken { path, words } => {
                write!(f, "found {} that does not open ({words}), expected libfabric; install it again", path.display())
            }
            Self::Foreign { path, symbol } => write!(
                f,
                "found {} without {symbol}, expected libfabric; remove it from the loader's path",
                path.display()
            ),
            Self::TooOld { path, version } => write!(
                f,
                "found libfabric {}.{} at {}, expected 1.9 or newer; install AWS's EFA installer",
                version >> 16,
                version & 0xffff,
                path.display()
            ),
        }
    }
}

impl std::error::Error for LoadError {}

/// Where to look: one named place alone, or the EFA installer's folders and then the loader's own path.
pub fn library_paths(named: Option<&Path>) -> Vec<PathBuf> {
    let usual = ["/opt/amazon/efa/lib/libfabric.so.1", "/opt/amazon/efa/lib64/libfabric.so.1", "libfabric.so.1"];
    named.map_or_else(|| usual.map(PathBuf::from).to_vec(), |path| vec![path.to_owned()])
}

impl Library {
    /// Opens the first of `paths` that opens. A process must open one libfabric only: a second one finds no EFA device.
    ///
    /// # Errors
    /// None opens, or the first that does is not a libfabric that these types fit.
    pub fn open(paths: &[PathBuf]) -> Result<Self, LoadError> {
        let mut tried = Vec::new();
        for path in paths {
            // SAFETY: opening a library runs its initialisers. Whoever put a libfabric.so.1 into the loader's path or
            // AWS's folder means it to be run; the engine is a process of its own for this reason.
            match unsafe { unix::Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) } {
                Ok(library) => return Self::resolve(path, library),
                Err(error) if path.is_absolute() && path.exists() => {
                    return Err(LoadError::Broken { path: path.clone(), words: words_of(&error) });
                }
                Err(error) => tried.push((path.clone(), words_of(&error))),
            }
        }
        Err(LoadError::Missing(tried))
    }

    /// The version that is requested of the library.
    pub fn api(&self) -> u32 {
        self.version.min(NEWEST_API)
    }

    /// The name of an error, given as calls return it or without its sign.
    pub fn error_name(&self, error: i64) -> String {
        let number = c_int::try_from(error.unsigned_abs()).unwrap_or(c_int::MAX);
        // SAFETY: the symbol is `fi_strerror`, which takes any number.
        let words = unsafe { (self.strerror)(number) };
        if words.is_null() {
            return format!("error {number}");
        }
        // SAFETY: it returns a static C string.
        unsafe { CStr::from_ptr(words) }.to_string_lossy().into_owned()
    }

    fn resolve(path: &Path, library: unix::Library) -> Result<Self, LoadError> {
        // Never closed.
        let symbols = Symbols { handle: library.into_raw(), path: path.to_owned() };
        let version_symbol = symbols.find(c"fi_version", FIRST)?;
        let path = path_of(version_symbol).unwrap_or_else(|| path.to_owned());
        // SAFETY: a symbol of this name and version has this type.
        let version = unsafe { std::mem::transmute::<*mut c_void, Version>(version_symbol) };
        // SAFETY: it takes nothing and only returns a number.
        let version = unsafe { version() };
        let known = ABIS.iter().find(|(_, of)| symbols.find(c"fi_getinfo", of).is_ok());
        let Some(&(abi, of)) = known else { return Err(LoadError::TooOld { path, version }) };
        let getinfo = symbols.find(c"fi_getinfo", of)?;
        let freeinfo = symbols.find(c"fi_freeinfo", of)?;
        let dupinfo = symbols.find(c"fi_dupinfo", of)?;
        let fabric = symbols.find(c"fi_fabric", FABRIC)?;
        let strerror = symbols.find(c"fi_strerror", FIRST)?;
        Ok(Self {
            path,
            version,
            abi,
            // SAFETY: a symbol of this name and version has this type.
            getinfo: unsafe { std::mem::transmute::<*mut c_void, GetInfo>(getinfo) },
            // SAFETY: as above.
            freeinfo: unsafe { std::mem::transmute::<*mut c_void, FreeInfo>(freeinfo) },
            // SAFETY: as above.
            dupinfo: unsafe { std::mem::transmute::<*mut c_void, DupInfo>(dupinfo) },
            // SAFETY: as above.
            fabric: unsafe { std::mem::transmute::<*mut c_void, Fabric>(fabric) },
            // SAFETY: as above.
            strerror: unsafe { std::mem::transmute::<*mut c_void, StrError>(strerror) },
        })
    }
}

/// The symbols of an open library.
struct Symbols {
    handle: *mut c_void,
    path: PathBuf,
}

impl Symbols {
    fn find(&self, name: &'static CStr, version: &CStr) -> Result<*mut c_void, LoadError> {
        // SAFETY: the handle is that of a library that stays open; both strings end with a zero.
        let symbol = unsafe { libc::dlvsym(self.handle, name.as_ptr(), version.as_ptr()) };
        if symbol.is_null() {
            let symbol = name.to_str().unwrap_or_default();
            return Err(LoadError::Foreign { path: self.path.clone(), symbol });
        }
        Ok(symbol)
    }
}

/// The file that a symbol came from.
fn path_of(symbol: *mut c_void) -> Option<PathBuf> {
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `found` has room for the answer; the address is looked up, not read.
    let result = unsafe { libc::dladdr(symbol, found.as_mut_ptr()) };
    // SAFETY: zeros are a value of this structure of pointers, and the call filled it if it succeeded.
    let found = unsafe { found.assume_init() };
    if result == 0 || found.dli_fname.is_null() {
        return None;
    }
    // SAFETY: on success the name is a C string that lives as long as the library.
    let name: CString = unsafe { CStr::from_ptr(found.dli_fname) }.to_owned();
    Some(PathBuf::from(name.into_string().ok()?))
}

fn words_of(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
