//! A process that a test starts and that never outlives it: one that is left over holds ports, and the
//! pipe that whoever runs the tests reads to its end.

use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, Output};

/// A process that runs; killed when this is dropped, also by a test that fails.
#[derive(Debug)]
pub struct Running(Option<Child>);

impl Running {
    /// Starts the command.
    pub fn start(command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self(Some(child))
    }

    /// Asks it to end (SIGTERM).
    pub fn ask_to_stop(&self) {
        let asked = Command::new("kill").arg(self.id().to_string()).status().expect("kill runs");
        assert!(asked.success(), "it is gone already");
    }

    /// Waits for its end; all that it printed into pipes.
    pub fn output(mut self) -> Output {
        let child = self.0.take().expect("it is taken once");
        child.wait_with_output().expect("its pipes can be read")
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.0.as_ref().expect("it is taken once")
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is taken once")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
