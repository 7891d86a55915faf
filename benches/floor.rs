//! The machine's limit, beside which a broker is measured: frames of 16 KiB from loopback TCP, CRC-32C,
//! one `pwrite` of all complete frames of a read, and a 48-byte answer for each.
//!
//! `cargo bench --bench floor -- 4000 /folder/on/the/disk` moves 4,000 MB and prints a line of JSON.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "a bench")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Instant;

const FRAME: usize = 16 * 1024;
const BUFFER: usize = 256 * 1024;
const ANSWER: [u8; 48] = [0; 48];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let megabytes = words.first().and_then(|word| word.parse().ok()).unwrap_or(64_usize);
    let folder = words.get(1).map_or_else(std::env::temp_dir, Into::into);
    let frames = megabytes * 1_000_000 / FRAME;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let file = tempfile::tempfile_in(folder).unwrap();
    let server = thread::spawn(move || serve(listener.accept().unwrap().0, &file));
    let began = Instant::now();
    let mut answers = client.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut left = frames * ANSWER.len();
        while left > 0 {
            left -= answers.read(&mut buffer).unwrap();
        }
    });
    let frame = [b'x'; FRAME];
    (0..frames).for_each(|_| (&client).write_all(&frame).unwrap());
    reader.join().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    client.shutdown(std::net::Shutdown::Both).unwrap();
    let gb = (frames * FRAME) as f64 / 1e9;
    let (mb, cpu) = (gb * 1e3 / seconds, server.join().unwrap() / gb);
    println!("{{\"mb_per_s\": {mb:.1}, \"cpu_s_per_gb\": {cpu:.3}}}");
}

/// Serves until the other side ends; says how many seconds this thread computed.
fn serve(mut stream: TcpStream, file: &File) -> f64 {
    let (mut buffer, mut filled, mut written) = (vec![0; BUFFER], 0, 0);
    loop {
        let read = stream.read(&mut buffer[filled..]).unwrap_or(0);
        if read == 0 {
            let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            return stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9;
        }
        filled += read;
        let whole = filled / FRAME * FRAME;
        let sum = buffer[..whole].chunks(FRAME).fold(0, |all, frame| all ^ crc32c::crc32c(frame));
        std::hint::black_box(sum);
        file.write_all_at(&buffer[..whole], written).unwrap();
        written += whole as u64;
        let answers = ANSWER.repeat(whole / FRAME);
        stream.write_all(&answers).unwrap();
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}
