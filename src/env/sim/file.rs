//! An open file of the simulated disk.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::world::{Content, Fault, World};
use crate::env::{DiskFile, Map};

#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) id: u64,
    pub(super) boot: u64,
}

impl SimFile {
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if world.boot != self.boot {
            return Err(io::Error::other("the process that opened this file is gone"));
        }
        Ok(world)
    }

    fn content<'w>(&self, world: &'w mut World) -> io::Result<&'w mut Content> {
        world.files.get_mut(&self.id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// How far the file may reach, of which it takes `len` now.
    fn room(&self, world: &mut World) -> io::Result<usize> {
        let free = world.free();
        let content = self.content(world)?;
        Ok(content.bytes.len().max(content.reserved).saturating_add(free))
    }
}

fn narrow(position: u64) -> io::Result<usize> {
    usize::try_from(position).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut world = self.world()?;
        world.look()?;
        Ok(self.content(&mut world)?.bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let reads = Arc::clone(&self.world()?.reads);
        reads.pass();
        let mut world = self.world()?;
        world.look()?;
        let bytes = self.content(&mut world)?.bytes.get(narrow(position)?..).unwrap_or_default();
        let count = bytes.len().min(buffer.len());
        if let Some((from, to)) = bytes.get(..count).zip(buffer.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut world = self.world()?;
        let position = narrow(position)?;
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let fault = world.operate();
        let room = self.room(&mut world)?.saturating_sub(position);
        let content = self.content(&mut world)?;
        match fault {
            Err(fault) => {
                // A part of it may have been written.
                content.write(position, bytes.get(..bytes.len().min(room) / 2).unwrap_or_default());
                Err(fault.error())
            }
            Ok(()) if bytes.len() > room => {
                content.write(position, bytes.get(..room).unwrap_or_default());
                Err(Fault::Full.error())
            }
            Ok(()) => {
                content.write(position, &bytes);
                Ok(())
            }
        }
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.operate().map_err(Fault::error)?;
        let end = narrow(end)?;
        if end > self.room(&mut world)? {
            return Err(Fault::Full.error());
        }
        let content = self.content(&mut world)?;
        content.reserved = content.reserved.max(end);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.world()?;
        let fault = world.operate();
        let content = self.content(&mut world)?;
        match fault {
            Ok(()) => {
                content.sync();
                Ok(())
            }
            Err(fault) => {
                content.fail_sync();
                Err(fault.error())
            }
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.operate().map_err(Fault::error)?;
        let len = narrow(len)?;
        if len > self.room(&mut world)? {
            return Err(Fault::Full.error());
        }
        self.content(&mut world)?.set_len(len);
        Ok(())
    }

    fn map(self: Arc<Self>, window: u64) -> io::Result<Map> {
        Ok(Map::copying(self, window))
    }
}
