//! Whether a batch continues those before it. Offsets, epoch and length of a batch lie outside its
//! checksum, so a bit that flips there is found by holding the batch against its neighbours.

use std::io;

use duramen_protocol::records::batch::{BatchHeader, BatchView, HEADER_LEN};

use super::walk::{Fault, Found, Step, Walk};

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
    /// That history tells of every batch there is, so one of another epoch than it says is wrong.
    pub(super) complete: bool,
    /// No record was ever taken out of the log: offsets go on without a gap.
    pub(super) dense: bool,
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
        if let Some(fault) = self.before(header) {
            return Ok(Some(fault));
        }
        if witness.check && !walk.checksum_holds(found)? {
            return Ok(Some(Fault::Checksum));
        }
        let doubt = match walk.peek()? {
            Step::Batch(after) => self.against(header, &after.header, witness.epoch),
            // No batch where this one's length says: is that length right?
            Step::Broken(_) => Doubt::IfChecksumFails,
            // Nobody behind it to ask.
            Step::End => self.alone(header, witness),
        };
        match doubt {
            Doubt::None => Ok(None),
            Doubt::Certain(fault) => Ok(Some(fault)),
            Doubt::IfChecksumFails if witness.check || walk.checksum_holds(found)? => Ok(None),
            Doubt::IfChecksumFails => Ok(Some(Fault::Checksum)),
        }
    }

    /// The next sound batch behind the fault at the current position of `walk`: where the faulty one
    /// ends, or else by a search byte by byte. Goes past it. `told` is what the history says of an
    /// offset.
    ///
    /// A record may hold whole batches of another log. So of the bytes that a faulty batch claims only
    /// what continues it is believed, unless they `may_be_others`: the batch is on the disk for good,
    /// and nothing speaks for the length that it claims.
    pub(super) fn resync(
        &self,
        walk: &mut Walk<'_>,
        may_be_others: bool,
        told: impl Fn(i64) -> Option<i32>,
    ) -> io::Result<Option<Found>> {
        let from = walk.position();
        let mut claimed = None;
        if let Some(claim) = walk.claim()? {
            let next = self.next.saturating_add(i64::from(claim.header.last_offset_delta) + 1);
            walk.seek(claim.end());
            let behind = walk.step()?;
            let goes_on = matches!(&behind, Step::Batch(it) if it.header.base_offset == next);
            if let Step::Batch(found) = behind
                && goes_on
                && self.before(&found.header).is_none()
                && walk.checksum_holds(&found)?
            {
                return Ok(Some(found));
            }
            let is_sure = !may_be_others || goes_on || walk.ends_with(&claim);
            let begins_right = claim.header.base_offset == self.next;
            claimed = (is_sure && begins_right).then(|| (claim.end(), next));
        }
        walk.seek(from + 1);
        walk.search(|walk, found| {
            let base = found.header.base_offset;
            if claimed.is_some_and(|(end, next)| found.position < end && base != next) {
                return Ok(false);
            }
            let witness = Witness { epoch: told(base), check: true, ..Witness::default() };
            Ok(self.fault(walk, found, witness)?.is_none())
        })
    }

    /// What is wrong with a batch as the one after those before.
    fn before(&self, header: &BatchHeader) -> Option<Fault> {
        let (base, last) = (header.base_offset, header.last_offset());
        let epoch = header.partition_leader_epoch;
        if base < self.next || last < base || last >= self.end {
            return Some(Fault::Offsets);
        }
        // -1 is a batch of no term; nothing else is negative.
        (epoch < -1 || (0..self.epoch).contains(&epoch)).then_some(Fault::Epoch)
    }

    /// What is known of a last batch: the term of those before it, and where they end.
    fn alone(&self, header: &BatchHeader, witness: Witness) -> Doubt {
        if witness.dense && header.base_offset > self.next {
            return Doubt::Certain(Fault::Offsets);
        }
        let epoch = header.partition_leader_epoch;
        match witness.epoch {
            Some(known) if witness.complete && known != epoch && known == self.epoch => {
                Doubt::Certain(Fault::Epoch)
            }
            _ => Doubt::None,
        }
    }

    /// What the batch `after` it says of a batch.
    fn against(&self, header: &BatchHeader, after: &BatchHeader, known: Option<i32>) -> Doubt {
        let (base, last) = (header.base_offset, header.last_offset());
        let epoch = header.partition_leader_epoch;
        let overlaps = after.base_offset >= self.next && after.base_offset <= last;
        if overlaps && base > self.next {
            return Doubt::Certain(Fault::Offsets);
        }
        let term = self.epoch..epoch;
        if term.contains(&after.partition_leader_epoch) && known != Some(epoch) {
            return Doubt::Certain(Fault::Epoch);
        }
        // Either the next batch is the wrong one, or this one's count, which the checksum covers.
        let suspect = overlaps || after.base_offset > last.saturating_add(1);
        if suspect { Doubt::IfChecksumFails } else { Doubt::None }
    }

    /// Takes a batch as sound.
    pub(super) fn pass(&mut self, header: &BatchHeader) {
        self.next = header.next_offset();
        self.epoch = self.epoch.max(header.partition_leader_epoch);
    }
}

/// How many of `bytes`, which begin with a sound batch, are whole batches that fit each other and reach
/// no offset from `end` on; what follows is best read anew from there, with a closer look. Reads headers
/// only, but for a batch in doubt.
pub fn trusted_prefix(bytes: &[u8], end: i64) -> usize {
    let mut chain = Chain { next: 0, epoch: -1, end };
    let mut trusted = 0;
    let mut rest = bytes;
    while let Ok((batch, behind)) = BatchView::split(rest) {
        let header = batch.header();
        if trusted > 0 {
            let sound = chain.before(&header).is_none()
                && match BatchHeader::parse(behind) {
                    Ok(after) => match chain.against(&header, &after, None) {
                        Doubt::None => true,
                        Doubt::Certain(_) => false,
                        Doubt::IfChecksumFails => batch.crc_is_valid(),
                    },
                    Err(_) if behind.len() >= HEADER_LEN => batch.crc_is_valid(),
                    // Nobody speaks for the last one.
                    Err(_) => {
                        header.base_offset == chain.next
                            && header.partition_leader_epoch == chain.epoch
                    }
                };
            if !sound {
                return trusted;
            }
        }
        chain.pass(&header);
        trusted += batch.size();
        rest = behind;
    }
    trusted
}

/// What a neighbour makes one think of a batch.
enum Doubt {
    None,
    Certain(Fault),
    IfChecksumFails,
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::path::Path;

    use super::*;
    use crate::env::sim::SimDisk;
    use crate::env::{Disk, OpenMode};
    use crate::storage::tests::support::batch;
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
                None => chain.pass(&found.header),
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
