//! The inputs that the fuzzer begins with, of the group coordinator: plays of some hundred steps, each
//! about one thing.

use super::seeds::Seeds;

/// The seeds of the target.
pub fn all() -> Vec<(&'static str, Seeds)> {
    vec![("coordinator", plays())]
}

/// A step of the play: what happens, and to which client.
const fn step(what: u8, client: u8) -> u8 {
    what + client * 32
}

/// Who plays: classic members (odd) of old and new versions, static ones among them; KIP-848 members
/// (even), static ones too; and both in one group, of four and of two.
const CASTS: [(&str, [u8; 6]); 3] = [
    ("classic", [1, 1, 49, 97, 37, 85]),
    ("modern", [0, 0, 2, 36, 84, 6]),
    ("both", [0, 1, 37, 2, 10, 11]),
];

const ACT: u8 = 0;
const COMMIT: u8 = 13;
const COMMIT_ALONE: u8 = 16;
const PASS: u8 = 17;
const LEAVE: u8 = 20;
const BECOME: u8 = 21;
const FAIL: u8 = 22;
const TOPICS: u8 = 23;
const CRASH: u8 = 24;
const COMPACT: u8 = 25;
const DELETE: u8 = 26;
const DELETE_OFFSETS: u8 = 27;
const ABANDON: u8 = 28;
const SESSION: u8 = 29;
const STRANGER: u8 = 30;

/// Every client acts, and a little time passes, a few times.
fn rounds(count: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for round in 0..count {
        for client in 0..6 {
            bytes.extend([step(ACT, client), round.wrapping_mul(3)]);
        }
        bytes.extend([PASS, 3]);
    }
    bytes
}

/// Those of the new protocol leave, and the classic ones go on without them for a while.
fn there_and_back() -> Vec<u8> {
    let mut bytes: Vec<u8> =
        [0, 3, 4].iter().flat_map(|client| [step(LEAVE, *client), 0]).collect();
    for _ in 0..4 {
        bytes.extend([step(ACT, 1), 0, step(ACT, 2), 0, step(ACT, 5), 0, PASS, 2]);
    }
    bytes
}

fn plays() -> Seeds {
    let about: [(&str, &[u8]); 21] = [
        ("quiet", &[]),
        ("commits", &[COMMIT, 0, 1, step(COMMIT, 3), 0, 0, COMMIT_ALONE, 2, 0, 1]),
        ("leave", &[LEAVE, 0, step(LEAVE, 3), 0, step(LEAVE, 5), 1]),
        ("crash", &[CRASH, COMMIT, 0, 0, CRASH]),
        ("compact", &[COMPACT, ACT, 2, COMMIT, 0, 0, COMPACT]),
        ("says-other-things", &[ACT, 2, ACT, 10, ACT, 3, COMPACT, ACT, 2]),
        ("log-fails", &[FAIL, ACT, 2, FAIL, COMMIT, 0, 0, FAIL, step(ACT, 3), 0]),
        ("topics-grow", &[TOPICS, 0, 1, TOPICS, 1, TOPICS, 2, PASS, 4]),
        ("topics-go", &[TOPICS, 1, COMMIT, 1, 0, TOPICS, 1, 0, TOPICS, 1]),
        ("silence", &[PASS, 4, PASS, 5, PASS, 5]),
        ("long-silence", &[COMMIT, 0, 0, COMMIT_ALONE, 2, 0, 0, PASS, 7, PASS, 6]),
        ("delete", &[PASS, 5, DELETE, 0, DELETE, 1, DELETE, 2]),
        ("delete-offsets", &[COMMIT, 0, 0, DELETE_OFFSETS, 0, 0, 0, DELETE_OFFSETS, 1, 0, 0]),
        ("abandon", &[BECOME, 1, ACT, ABANDON, step(BECOME, 1), 7, step(ACT, 1), step(ABANDON, 1)]),
        ("sessions", &[SESSION, 0, ACT, 2, PASS, 4, SESSION, 0]),
        ("other-protocol", &[LEAVE, 0, BECOME, 1, ACT, PASS, 3, ACT, ACT, BECOME, 0, ACT, 2]),
        ("there-and-back", &there_and_back()),
        ("static", &[BECOME, 18, ACT, 2, LEAVE, 1, BECOME, 18, ACT, 2, step(BECOME, 3), 19]),
        ("strangers-join", &[STRANGER, 0, 0, 3, 0, 0, 0, 0, STRANGER, 1, 1, 3, 4, 0, 1, 0]),
        ("strangers-beat", &[STRANGER, 0, 0, 3, 4, 0, 1, 0, 0, STRANGER, 1, 2, 8, 4, 1, 2, 1, 1]),
        ("lost-answers", &[ACT, 230, ACT, 2, step(ACT, 1), 240, step(ACT, 1), 2]),
    ];
    let mut seeds = Seeds::new();
    for (cast, clients) in CASTS {
        for (name, steps) in about {
            let play = [&clients[..], &rounds(5), steps, &rounds(4), steps, &rounds(4)].concat();
            seeds.push((format!("{cast}-{name}"), play));
        }
    }
    seeds
}
