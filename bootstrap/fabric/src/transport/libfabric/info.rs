//! What `fi_getinfo` gives, read field by field: an older library's attributes are shorter than our types.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::ptr::{self, NonNull};

use libfabric_sys::{self as fi, Library};

/// A list of infos that the library made, and frees.
pub(super) struct Infos {
    library: Library,
    pub(super) first: NonNull<fi::fi_info>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Info<'a> {
    raw: &'a fi::fi_info,
}

impl Infos {
    /// Everything that the library offers.
    ///
    /// # Errors
    /// It says that there is nothing, or another error, by its number.
    pub(super) fn all(library: &Library) -> Result<Self, i32> {
        Self::ask(library, None, 0, ptr::null())
    }

    /// Asks. `hints` is null or from [`Infos::empty`].
    ///
    /// # Errors
    /// As [`Infos::all`].
    pub(super) fn ask(
        library: &Library,
        node: Option<&CStr>,
        flags: u64,
        hints: *const fi::fi_info,
    ) -> Result<Self, i32> {
        let node = node.map_or(ptr::null(), CStr::as_ptr);
        let mut first = ptr::null_mut();
        // SAFETY: node is null or a C string, hints null or made by this library; `first` has room for the answer.
        let result = unsafe { (library.getinfo)(library.api(), node, ptr::null(), flags, hints, &raw mut first) };
        match NonNull::new(first) {
            Some(first) if result == 0 => Ok(Self { library: library.clone(), first }),
            _ => Err(if result == 0 { -fi::FI_ENODATA } else { result }),
        }
    }

    /// An empty info with all attributes, at the library's own size.
    pub(super) fn empty(library: &Library) -> Option<Self> {
        // SAFETY: with null the library makes an empty info.
        let first = unsafe { (library.dupinfo)(ptr::null()) };
        Some(Self { library: library.clone(), first: NonNull::new(first)? })
    }

    /// All of them, in the library's order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Info<'_>> {
        let mut next = self.first.as_ptr().cast_const();
        std::iter::from_fn(move || {
            // SAFETY: the list ends with null, and lives as long as `self`.
            let raw = unsafe { next.as_ref() }?;
            next = raw.next;
            Some(Info { raw })
        })
    }
}

impl Drop for Infos {
    fn drop(&mut self) {
        // SAFETY: the list was made by this library and is freed once; nothing that was borrowed from it is left.
        unsafe { (self.library.freeinfo)(self.first.as_ptr()) };
    }
}

impl Info<'_> {
    /// For the calls that take one; they only read it.
    pub(super) fn as_ptr(&self) -> *mut fi::fi_info {
        ptr::from_ref(self.raw).cast_mut()
    }

    /// The provider's exact name.
    pub(super) fn provider(&self) -> String {
        text(self.fabric_attr().map_or(ptr::null(), |attr| attr.prov_name))
    }

    /// The fabric's name.
    pub(super) fn fabric(&self) -> String {
        text(self.fabric_attr().map_or(ptr::null(), |attr| attr.name))
    }

    /// The version that the provider has of itself.
    pub(super) fn provider_version(&self) -> u32 {
        self.fabric_attr().map_or(0, |attr| attr.prov_version)
    }

    /// The domain's name.
    pub(super) fn domain(&self) -> String {
        text(self.domain_attr().map_or(ptr::null(), |attr| attr.name))
    }

    /// Its capabilities.
    pub(super) fn caps(&self) -> u64 {
        self.raw.caps
    }

    /// What it asks of the program.
    pub(super) fn mode(&self) -> u64 {
        self.raw.mode
    }

    /// What it asks of registrations.
    pub(super) fn mr_mode(&self) -> i32 {
        self.domain_attr().map_or(0, |attr| attr.mr_mode)
    }

    /// The kind of endpoint.
    pub(super) fn endpoint_type(&self) -> u32 {
        self.ep_attr().map_or(0, |attr| attr.type_)
    }

    /// The largest operation of any kind, in bytes.
    pub(super) fn largest_message_bytes(&self) -> u64 {
        self.ep_attr().map_or(0, |attr| attr.max_msg_size as u64)
    }

    /// Operations that an endpoint takes.
    pub(super) fn depth(&self) -> usize {
        self.tx_attr().map_or(0, |attr| attr.size)
    }

    /// Pieces of an operation at either side.
    pub(super) fn pieces(&self) -> usize {
        self.tx_attr().map_or(0, |attr| attr.iov_limit.min(attr.rma_iov_limit))
    }

    /// The card behind it, where the provider says so.
    pub(super) fn device(&self) -> Option<String> {
        // SAFETY: null or a card that lives as long as the info.
        let card = unsafe { self.raw.nic.as_ref() }?;
        // SAFETY: null or the card's attributes, which live as long.
        let name = unsafe { card.device_attr.as_ref() }?.name;
        Some(text(name)).filter(|name| !name.is_empty())
    }

    /// The attributes of the fabric, for `fi_fabric`.
    pub(super) fn fabric_attr_ptr(&self) -> *mut fi::fi_fabric_attr {
        self.raw.fabric_attr
    }

    fn fabric_attr(&self) -> Option<&fi::fi_fabric_attr> {
        // SAFETY: null or attributes that live as long as the info; the fields that are read exist in every ABI.
        unsafe { self.raw.fabric_attr.as_ref() }
    }

    fn domain_attr(&self) -> Option<DomainAttr> {
        let attr = NonNull::new(self.raw.domain_attr)?.as_ptr();
        Some(DomainAttr {
            // SAFETY: attributes that live as long as the info. They may be shorter than our type, so no reference is
            // made to the whole; this field exists in every ABI.
            name: unsafe { (*attr).name },
            // SAFETY: as above.
            mr_mode: unsafe { (*attr).mr_mode },
        })
    }

    fn ep_attr(&self) -> Option<EndpointAttr> {
        let attr = NonNull::new(self.raw.ep_attr)?.as_ptr();
        Some(EndpointAttr {
            // SAFETY: as in `domain_attr`.
            type_: unsafe { (*attr).type_ },
            // SAFETY: as in `domain_attr`.
            max_msg_size: unsafe { (*attr).max_msg_size },
        })
    }

    fn tx_attr(&self) -> Option<&fi::fi_tx_attr> {
        // SAFETY: null or attributes that live as long as the info; their layout is that of every ABI.
        unsafe { self.raw.tx_attr.as_ref() }
    }
}

/// The fields of a domain's attributes that are read.
struct DomainAttr {
    name: *mut c_char,
    mr_mode: i32,
}

/// The fields of an endpoint's attributes that are read.
struct EndpointAttr {
    type_: u32,
    max_msg_size: usize,
}

fn text(name: *const c_char) -> String {
    if name.is_null() {
        return String::new();
    }
    // SAFETY: the library's strings end with a zero and live as long as their info, which the caller borrows.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}
