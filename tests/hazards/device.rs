//! A small file system of its own for a test: ext4 on a loop device. Needs root; where there is none
//! the test is skipped aloud.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A mounted file system; it goes when the value is dropped.
pub struct Device {
    folder: TempDir,
    /// Mount points, the last mounted last.
    mounted: Vec<PathBuf>,
    ballast: u32,
}

impl Device {
    /// A file system of so many MiB, or why there can't be one here.
    pub fn new(mib: u64) -> Result<Self, String> {
        let mut device = Self::empty()?;
        let image = device.folder.path().join("image");
        device.make(&image, mib)?;
        Ok(device)
    }

    /// The same, on a device that fails once `real_mib` of it have been written.
    pub fn failing_after(real_mib: u64, mib: u64) -> Result<Self, String> {
        let mut device = Self::empty()?;
        let below = device.folder.path().join("below");
        fs::create_dir(&below).map_err(|error| error.to_string())?;
        let size = format!("size={real_mib}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&below))?;
        device.mounted.push(below.clone());
        device.make(&below.join("image"), mib)?;
        Ok(device)
    }

    fn empty() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        Ok(Self { folder, mounted: Vec::new(), ballast: 0 })
    }

    fn make(&mut self, image: &Path, mib: u64) -> Result<(), String> {
        let file = File::create(image).map_err(|error| error.to_string())?;
        file.set_len(mib << 20).map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0", "-F"]).arg(image))?;
        let point = self.folder.path().join("mounted");
        fs::create_dir(&point).map_err(|error| error.to_string())?;
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(&point))?;
        self.mounted.push(point);
        Ok(())
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.mounted.last().expect("it is mounted")
    }

    /// Takes all the room that is left.
    pub fn fill(&mut self) {
        for size in [16 << 20, 1 << 20, 64 << 10, 4 << 10] {
            loop {
                let path = self.path().join(format!("ballast-{}", self.ballast));
                self.ballast += 1;
                let file = OpenOptions::new().create_new(true).write(true).open(&path);
                let Ok(file) = file else { break };
                let flags = rustix::fs::FallocateFlags::empty();
                if rustix::fs::fallocate(&file, flags, 0, size).is_err() {
                    let _ = fs::remove_file(path);
                    break;
                }
            }
        }
    }

    /// Gives the room back.
    pub fn free(&mut self) {
        for entry in fs::read_dir(self.path()).expect("the mounted directory") {
            let path = entry.expect("its entries").path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ballast")) {
                fs::remove_file(path).expect("a file of this test");
            }
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        while let Some(point) = self.mounted.pop() {
            let unmounted = run(Command::new("umount").arg(&point));
            if unmounted.is_err() {
                let _ = run(Command::new("umount").arg("-l").arg(&point));
            }
        }
    }
}

/// The device, or nothing after saying that `test` is skipped.
pub fn or_skip(test: &str, device: Result<Device, String>) -> Option<Device> {
    match device {
        Ok(device) => Some(device),
        Err(reason) => {
            println!("skipped {test}: no loop device here: {reason}");
            None
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {}", words.lines().next().unwrap_or("failed")))
}
