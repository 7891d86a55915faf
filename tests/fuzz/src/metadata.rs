//! Metadata records, and what becomes of them.

use std::sync::Arc;

use duramen::metadata::record::image_records;
use duramen::metadata::{MetadataImage, Provenance, Replay};
use duramen_protocol::metadata::{Framed, MetadataRecord};

/// Values of the metadata log or of a snapshot, each behind its length (a byte). What is read is
/// written as the same; and an image made of any metadata records, in any order, is made again by
/// the metadata records of a snapshot of it.
pub fn metadata(data: &[u8]) {
    let mut records = Vec::new();
    let mut rest = data;
    while let Some((length, behind)) = rest.split_first() {
        let (value, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        rest = behind;
        let Ok(framed) = Framed::decode(value) else { continue };
        assert_eq!(Framed::decode(&framed.encode()).as_ref(), Ok(&framed));
        if let Framed::Record(record) = framed {
            records.push(record);
        }
    }
    let Some(image) = replayed(&records) else { return };
    let again = replayed(&image_records(&image)).unwrap();
    assert_eq!(image, again);
}

fn replayed(records: &[MetadataRecord]) -> Option<Arc<MetadataImage>> {
    let mut replay = Replay::new(&Arc::new(MetadataImage::default()));
    replay.apply_all(records).ok()?;
    let delta = replay.finish(Provenance::default());
    // What changed can be asked for, whatever it is.
    let _ = (delta.topics().count(), delta.partitions().count(), delta.configs().count());
    Some(Arc::clone(delta.after()))
}
