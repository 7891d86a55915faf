//! Whether a batch continues those before it. Offsets, epoch and length of a batch lie outside its
//! checksum, so a bit that flips there is found by holding the batch against its neighbours.

use std::io;

use super::walk::{Fault, Found, Walk};

/// Where the batches before left off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    /// The offset after the last batch; 0 when it is not known.
    pub(super) next: i64,
    /// The latest epoch so far; -1 for none.
    pub(super) epoch: i32,
    /// No batch reaches this offset.
    pub(super) end: i64,
}

/// What else is known of the batch to judge.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Witness {
    /// The epoch that the history gives the batch's first offset.
    pub(super) epoch: Option<i32>,
    /// The checksum is to be computed anyway.
    pub(super) check: bool,
}

impl Chain {
    /// What is wrong with `found`, past which `walk` has just gone. Of two neighbours that
    /// contradict each other, the one to blame is the one that contradicts the others too.
    pub(super) fn fault(
        &self,
        walk: &mut Walk<'_>,
        found: &Found,
        witness: Witness,
    ) -> io::Result<Option<Fault>> {
        let header = &found.header;
        let (base, last) = (header.base_offset, header.last_offset());
        let epoch = header.partition_leader_epoch;
        if base < self.next || last < base || last >= self.end {
            return Ok(Some(Fault::Offsets));
        }
        if epoch >= 0 && epoch < self.epoch {
            return Ok(Some(Fault::Epoch));
        }
        if witness.check && !walk.checksum_holds(found)? {
            return Ok(Some(Fault::Checksum));
        }
        let Some(after) = walk.peek()? else { return Ok(None) };
        let overlaps = after.base_offset >= self.next && after.base_offset <= last;
        if overlaps && base > self.next {
            return Ok(Some(Fault::Offsets));
        }
        // Either the next batch is the wrong one, or this one's count, which the checksum covers.
        let suspect = overlaps || after.base_offset > last.saturating_add(1);
        if suspect && !witness.check && !walk.checksum_holds(found)? {
            return Ok(Some(Fault::Checksum));
        }
        let leaps = epoch > self.epoch && (self.epoch..epoch).contains(&after.partition_leader_epoch);
        Ok((leaps && witness.epoch != Some(epoch)).then_some(Fault::Epoch))
    }

    /// Takes `found` as sound.
    pub(super) fn pass(&mut self, found: &Found) {
        self.next = found.header.next_offset();
        self.epoch = self.epoch.max(found.header.partition_leader_epoch);
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::path::Path;

    use super::*;
    use crate::env::sim::SimDisk;
    use crate::env::{Disk, OpenMode};
    use crate::storage::tests::support::batch;
    use crate::storage::walk::Step;
    use duramen_protocol::records::stamp::{stamp_base_offset, stamp_leader_epoch};

    /// The offsets of the batches that are blamed, of a file of ten batches of ten records, three
    /// terms, after `change` of its bytes.
    fn blamed(change: impl Fn(&mut Vec<u8>)) -> Vec<(usize, Fault)> {
        let mut bytes = Vec::new();
        for n in 0..10_i64 {
            let mut one = batch(10, 1, &[7; 20]).to_vec();
            stamp_base_offset(&mut one, n * 10).unwrap();
            stamp_leader_epoch(&mut one, [0, 1, 4][(n / 4) as usize]).unwrap();
            bytes.extend_from_slice(&one);
        }
        let size = bytes.len() / 10;
        change(&mut bytes);
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let file = disk.open(Path::new("/d/f"), OpenMode::Create).unwrap();
        file.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
        let mut walk = Walk::new(&*file, 0, bytes.len() as u64, 4096);
        let mut chain = Chain { next: 0, epoch: -1, end: 100 };
        let mut faults = Vec::new();
        for n in 0..10 {
            walk.seek((n * size) as u64);
            let Step::Batch(found) = walk.step().unwrap() else { panic!("{n}") };
            let witness = Witness { check: n % 2 == 0, ..Witness::default() };
            match chain.fault(&mut walk, &found, witness).unwrap() {
                Some(fault) => faults.push((n, fault)),
                None => chain.pass(&found),
            }
        }
        faults
    }

    #[test]
    fn a_flip_outside_the_checksum_is_blamed_on_its_own_batch() {
        let size = batch(10, 1, &[7; 20]).len();
        assert_eq!(blamed(|_| {}), []);
        for n in 0..10 {
            for bit in 0..64 {
                let found = blamed(|bytes| bytes[n * size + bit / 8] ^= 0x80 >> (bit % 8));
                assert_eq!(found, [(n, Fault::Offsets)], "base offset of {n}, bit {bit}");
            }
            // The last batch has no neighbour behind it; a first term has none before it.
            for bit in (0..32).filter(|_| n < 9) {
                let found = blamed(|bytes| bytes[n * size + 12 + bit / 8] ^= 0x80 >> (bit % 8));
                let count = found.len();
                assert!(count <= 1 || found.iter().all(|(at, _)| at.abs_diff(n) <= 1), "{found:?}");
            }
        }
    }

    #[test]
    fn a_count_that_changed_is_found_without_a_checksum_of_everything() {
        let size = batch(10, 1, &[7; 20]).len();
        for n in (1..9).step_by(2) {
            for bit in 0..32 {
                let found = blamed(|bytes| bytes[n * size + 23 + bit / 8] ^= 0x80 >> (bit % 8));
                assert_eq!(found.first().map(|(at, _)| *at), Some(n), "bit {bit}: {found:?}");
                assert_eq!(found.len(), 1, "bit {bit}: {found:?}");
            }
        }
    }
}
