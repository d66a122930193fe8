//! The catalogue of EFA accelerator types.
