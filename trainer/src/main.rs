//! The `continuo` program: hands over to the library and exits with its code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    continuo::main()
}
