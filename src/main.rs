//! The `duramen` binary; everything is in `duramen::cli`.

fn main() -> std::process::ExitCode {
    duramen::cli::main()
}
