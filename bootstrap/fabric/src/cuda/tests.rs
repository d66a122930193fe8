//! What only a GPU can show. `make test-gpu` runs these; elsewhere they are ignored.

use prefab_contract::transfer::{Descriptor, Scatter, Shape};

use super::blocks::{At, Block, Kernels, Piece, Scratch, Table, places, sources};
use super::gpu::Gpu;
use super::library;
use super::memory::DeviceMemory;
use super::one_request::request;
use super::staged::Staged;
use super::stream::Stream;
use crate::pattern::Pattern;

const PATTERN: Pattern = Pattern { seed: 11, flow: 3 };

/// One GPU with two pools, and a request that was moved between them the whole staged way.
struct Moved {
    stream: Stream,
    kernels: Kernels,
    destination: DeviceMemory,
    blocks: Table<Block>,
    table: Vec<Descriptor>,
    scratch: Scratch,
}

fn moved(block_bytes: u64, blocks: u64, fragmentation_ppm: u32) -> Moved {
    let gpu = Gpu::open(library::load().unwrap(), 0).unwrap();
    let shape = Shape::with_working_set([(block_bytes, 3, blocks)], block_bytes * blocks * 6).unwrap();
    let (table, runs) = request(&shape, Scatter { fragmentation_ppm, seed: 11 }, PATTERN.flow);
    let (stream, kernels) = (Stream::new(&gpu).unwrap(), Kernels::load(&gpu).unwrap());
    let source = DeviceMemory::new(&gpu, shape.pool_bytes()).unwrap();
    let destination = DeviceMemory::new(&gpu, shape.pool_bytes()).unwrap();
    let mut blocks = Table::with_capacity(&gpu, shape.descriptors()).unwrap();
    blocks.set(&stream, &sources(&table)).unwrap();
    kernels.fill(&stream, &source, &blocks, PATTERN).unwrap();
    stream.synchronize().unwrap();
    blocks.set(&stream, &places(&table)).unwrap();
    kernels.poison(&stream, &destination, &blocks).unwrap();
    stream.synchronize().unwrap();

    let mut staged = Staged::new(&gpu, shape.payload_bytes(), shape.descriptors() + (8 << 10)).unwrap();
    staged.plan(&runs).unwrap();
    staged.carry(&kernels, &source, &destination).unwrap();
    Moved { stream, kernels, destination, blocks, table, scratch: Scratch::new(&gpu).unwrap() }
}

impl Moved {
    fn check(&mut self) -> (u64, Option<u64>) {
        self.kernels.check(&mut self.scratch, &self.stream, &self.destination, &self.blocks, PATTERN).unwrap()
    }

    /// Writes bytes of the destination from this side.
    fn overwrite(&mut self, offset: u64, bytes: &[u8]) {
        let mut here = super::memory::PinnedMemory::new(&self.destination.gpu, bytes.len() as u64).unwrap();
        here.bytes().unwrap().copy_from_slice(bytes);
        self.stream.to_device(&here, 0, &self.destination, offset, bytes.len() as u64).unwrap();
        self.stream.synchronize().unwrap();
    }

    fn read(&mut self, offset: u64, bytes: u64) -> Vec<u8> {
        let mut here = super::memory::PinnedMemory::new(&self.destination.gpu, bytes).unwrap();
        self.stream.to_host(&self.destination, offset, &here, 0, bytes).unwrap();
        self.stream.synchronize().unwrap();
        here.bytes().unwrap().to_vec()
    }
}

#[test]
#[ignore = "needs a GPU"]
fn on_gpu_blocks_of_every_multiple_of_16_bytes_arrive() {
    for block_bytes in [16, 48, 1008, 8192, 16_400, 1 << 20] {
        for ppm in [0, 300_000, 1_000_000] {
            let blocks = (8 << 20) / block_bytes;
            let mut moved = moved(block_bytes, blocks.min(20_000), ppm);
            assert_eq!(moved.check(), (0, None), "{block_bytes} bytes at {ppm} ppm");
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn on_gpu_what_the_kernels_write_is_the_hosts_pattern() {
    let mut moved = moved(8192, 50, 1_000_000);
    for entry in moved.table.clone() {
        assert!(PATTERN.matches(entry.source_block, &moved.read(entry.destination_offset, entry.bytes)));
    }
}

#[test]
#[ignore = "needs a GPU"]
fn on_gpu_a_flipped_byte_is_found_100_of_100() {
    let mut moved = moved(8192, 100, 1_000_000);
    for number in 0..100_u64 {
        let entry = moved.table[usize::try_from(number * 3 % 300).unwrap()];
        let at = entry.destination_offset + number * 81;
        let right = moved.read(at, 1);
        moved.overwrite(at, &[right[0] ^ (1 << (number % 8))]);
        assert_eq!(moved.check(), (1, Some(number * 3 % 300)), "byte {number}");
        moved.overwrite(at, &right);
        assert_eq!(moved.check(), (0, None));
    }
}

#[test]
#[ignore = "needs a GPU"]
fn on_gpu_two_swapped_blocks_are_found_100_of_100() {
    let mut moved = moved(8192, 100, 1_000_000);
    for number in 0..100_usize {
        let (one, other) = (moved.table[number], moved.table[299 - number]);
        let data = [one, other].map(|entry| moved.read(entry.destination_offset, entry.bytes));
        moved.overwrite(one.destination_offset, &data[1]);
        moved.overwrite(other.destination_offset, &data[0]);
        assert_eq!(moved.check(), (2, Some(number as u64)));
        moved.overwrite(one.destination_offset, &data[0]);
        moved.overwrite(other.destination_offset, &data[1]);
    }
    assert_eq!(moved.check(), (0, None));
}

#[test]
#[ignore = "needs a GPU"]
fn on_gpu_too_much_memory_and_rows_outside_are_refused() {
    let gpu = Gpu::open(library::load().unwrap(), 0).unwrap();
    let error = DeviceMemory::new(&gpu, 1 << 50).err().unwrap().to_string();
    assert!(error.contains("bytes free on GPU 0, expected 1125899906842624"), "{error}");

    let (stream, kernels) = (Stream::new(&gpu).unwrap(), Kernels::load(&gpu).unwrap());
    let memory = DeviceMemory::new(&gpu, 4096).unwrap();
    let at = At { memory: &memory, offset: 0 };
    let mut table = Table::with_capacity(&gpu, 2).unwrap();
    for wrong in [Piece { from: 4096, to: 0, bytes: 16 }, Piece { from: 0, to: 4081 & !15, bytes: 32 }] {
        table.set(&stream, &[wrong]).unwrap();
        let error = kernels.move_pieces(&stream, at, at, &table, 0, 1).unwrap_err().to_string();
        assert!(error.contains("inside the 4096 bytes of GPU memory"), "{error}");
    }
    assert!(table.set(&stream, &[Piece { from: 8, to: 0, bytes: 16 }]).is_err());
    let whole = Piece { from: 0, to: 0, bytes: 16 };
    assert!(table.set(&stream, &[whole; 3]).is_err());
    table.set(&stream, &[whole; 2]).unwrap();
    assert!(kernels.move_pieces(&stream, at, at, &table, 1, 2).is_err());
}
