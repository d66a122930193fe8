//! An error of the CUDA driver: which call, and CUDA's own name for what happened.

use std::fmt;

use cudarc::driver::DriverError;

/// A failed call of the driver.
#[derive(Debug)]
pub(crate) struct Fault {
    call: &'static str,
    name: String,
    text: Option<String>,
}

impl Fault {
    /// What a call answered.
    pub(crate) fn new(call: &'static str, error: DriverError) -> Self {
        // The driver knows texts for its own errors only; the names are part of the interface.
        let text = error.error_string().ok().map(|text| text.to_string_lossy().into_owned());
        Self { call, name: format!("{:?}", error.0), text }
    }

    /// CUDA's name, for example `CUDA_ERROR_ILLEGAL_ADDRESS`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered {}", self.call, self.name)?;
        self.text.as_ref().map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}

impl std::error::Error for Fault {}

/// Names the call in the error of its result.
pub(super) trait Named<T> {
    /// The result with the call's name.
    ///
    /// # Errors
    /// As the result.
    fn named(self, call: &'static str) -> Result<T, Fault>;
}

impl<T> Named<T> for Result<T, DriverError> {
    fn named(self, call: &'static str) -> Result<T, Fault> {
        self.map_err(|error| Fault::new(call, error))
    }
}
