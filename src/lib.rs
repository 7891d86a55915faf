//! duramen
