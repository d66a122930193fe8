//! The kernels of `kernels/blocks.cu`: pack, unpack, fill, poison, check.
#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::marker::PhantomData;
use std::mem::size_of;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cudarc::driver::result::{launch_kernel, memcpy_htod_async, module};
use cudarc::driver::sys;
use prefab_contract::transfer::Descriptor;

use super::fault::Named;
use super::gpu::Gpu;
use super::memory::{DeviceMemory, PinnedMemory};
use super::stream::Stream;
use crate::pattern::Pattern;

/// `blocks.cu` as compiled ahead; the driver finishes it for the device that is there.
const PTX: &str = include_str!("../../kernels/blocks.ptx");

/// Threads of a block, as `THREADS` in `blocks.cu`.
const THREADS: u32 = 256;

/// Blocks of a launch for each multiprocessor: as many as the oldest type holds at once with 256 threads each.
const BLOCKS_PER_MULTIPROCESSOR: u32 = 8;

/// One contiguous copy of a table; offsets and bytes are multiples of 16.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Offset in the memory that is read.
    pub(crate) from: u64,
    /// Offset in the memory that is written.
    pub(crate) to: u64,
    /// How many.
    pub(crate) bytes: u64,
}

/// One block of data; offset and bytes are multiples of 8.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// The source block that gives its data.
    pub(crate) number: u64,
    /// Where it lies in its pool.
    pub(crate) offset: u64,
    /// How long it is.
    pub(crate) bytes: u64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Verdict {
    wrong: u64,
    first: u64,
}

/// Where the source blocks of a table lie.
pub(crate) fn sources(table: &[Descriptor]) -> Vec<Block> {
    let block =
        |entry: &Descriptor| Block { number: entry.source_block, offset: entry.source_offset, bytes: entry.bytes };
    table.iter().map(block).collect()
}

/// Where they end, with the data that they must have there.
pub(crate) fn places(table: &[Descriptor]) -> Vec<Block> {
    let block =
        |entry: &Descriptor| Block { number: entry.source_block, offset: entry.destination_offset, bytes: entry.bytes };
    table.iter().map(block).collect()
}

/// What a table is made of: plain numbers, as the kernels read them.
pub(crate) trait Row: Copy {
    /// Refuses a row that the kernels cannot take.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self) -> Result<()>;

    /// The ends of what it touches in the memory that is read, and in the memory that is written.
    fn ends(&self) -> [u64; 2];
}

impl Row for Piece {
    fn check(&self) -> Result<()> {
        let is_aligned = [self.from, self.to, self.bytes].iter().all(|value| value.is_multiple_of(16));
        ensure!(is_aligned, "found {self:?}, expected multiples of 16 bytes; choose blocks of a multiple of 16 bytes");
        Ok(())
    }

    fn ends(&self) -> [u64; 2] {
        [self.from.saturating_add(self.bytes), self.to.saturating_add(self.bytes)]
    }
}

impl Row for Block {
    fn check(&self) -> Result<()> {
        let is_aligned = [self.offset, self.bytes].iter().all(|value| value.is_multiple_of(8));
        ensure!(is_aligned, "found {self:?}, expected multiples of 8 bytes");
        Ok(())
    }

    fn ends(&self) -> [u64; 2] {
        [self.offset.saturating_add(self.bytes); 2]
    }
}

/// A table on the device, and how far its rows reach.
pub(crate) struct Table<T> {
    memory: DeviceMemory,
    rows: u64,
    capacity: u64,
    ends: [u64; 2],
    _row: PhantomData<T>,
}

impl<T: Row> Table<T> {
    /// Room for so many rows; nothing is allocated later.
    ///
    /// # Errors
    /// The device has no room.
    pub(crate) fn with_capacity(gpu: &Gpu, capacity: u64) -> Result<Self> {
        let bytes = capacity.max(1) * size_of::<T>() as u64;
        Ok(Self { memory: DeviceMemory::new(gpu, bytes)?, rows: 0, capacity, ends: [0; 2], _row: PhantomData })
    }

    /// How many rows it has room for.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How many rows it has now.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Replaces the rows, and waits until they lie on the device.
    ///
    /// # Errors
    /// A row that the kernels cannot take, more rows than there is room for, or a failed copy.
    pub(crate) fn set(&mut self, stream: &Stream, rows: &[T]) -> Result<()> {
        let count = rows.len() as u64;
        ensure!(count <= self.capacity, "found a table of {count} rows, expected at most {}", self.capacity);
        let mut ends = [0; 2];
        for row in rows {
            row.check()?;
            let [from, to] = row.ends();
            ends = [ends[0].max(from), ends[1].max(to)];
        }
        (self.rows, self.ends) = (count, ends);
        if count == 0 {
            return Ok(());
        }
        let address = self.memory.address(0, count * size_of::<T>() as u64)?;
        self.memory.gpu.bind()?;
        // SAFETY: the range was checked, and the stream is waited for before `rows` ends.
        unsafe { memcpy_htod_async(address, rows, stream.handle) }.named("cuMemcpyHtoDAsync")?;
        Ok(stream.synchronize()?)
    }
}

/// The kernels, loaded on one device.
pub(crate) struct Kernels {
    gpu: Gpu,
    module: sys::CUmodule,
    move_pieces: sys::CUfunction,
    fill_blocks: sys::CUfunction,
    poison_blocks: sys::CUfunction,
    check_blocks: sys::CUfunction,
    read_all: sys::CUfunction,
    grid: u32,
    load_time: Duration,
}

// SAFETY: the driver's calls may come from any thread, and each that needs the context binds it first.
unsafe impl Send for Kernels {}

// SAFETY: as above; nothing here changes after `load`.
unsafe impl Sync for Kernels {}

/// Where [`Kernels::check`] leaves its verdict.
pub(crate) struct Scratch {
    there: DeviceMemory,
    here: PinnedMemory,
}

impl Scratch {
    /// Room for a verdict at both sides.
    ///
    /// # Errors
    /// The device or the host has no room.
    pub(crate) fn new(gpu: &Gpu) -> Result<Self> {
        let bytes = size_of::<Verdict>() as u64;
        Ok(Self { there: DeviceMemory::new(gpu, bytes)?, here: PinnedMemory::new(gpu, bytes)? })
    }
}

/// Memory from some place on.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    /// Which memory.
    pub(crate) memory: &'a DeviceMemory,
    /// Where the table's offset 0 lies in it.
    pub(crate) offset: u64,
}

impl At<'_> {
    fn address(self, end: u64) -> Result<u64> {
        self.memory.address(self.offset, end)
    }
}

impl Kernels {
    /// Has the driver compile them for this device, which takes some time once.
    ///
    /// # Errors
    /// The driver is too old for them, or refuses.
    pub(crate) fn load(gpu: &Gpu) -> Result<Self> {
        gpu.bind()?;
        let begin = Instant::now();
        let image = CString::new(PTX).context("reading the kernels")?;
        // SAFETY: the image is PTX text that ends with a zero.
        let module = unsafe { module::load_data(image.as_ptr().cast()) }
            .named("cuModuleLoadData")
            .context("cannot load the kernels; they need compute capability 7.5 and a driver of branch 525 or newer")?;
        let function = |name: &str| -> Result<sys::CUfunction> {
            let name = CString::new(name)?;
            // SAFETY: the module was loaded above and lives as long as the functions.
            Ok(unsafe { module::get_function(module, name) }.named("cuModuleGetFunction")?)
        };
        let (move_pieces, fill_blocks) = (function("move_pieces")?, function("fill_blocks")?);
        let (poison_blocks, check_blocks) = (function("poison_blocks")?, function("check_blocks")?);
        let load_time = begin.elapsed();
        Ok(Self {
            gpu: gpu.clone(),
            module,
            move_pieces,
            fill_blocks,
            poison_blocks,
            check_blocks,
            read_all: function("read_all")?,
            grid: gpu.multiprocessors()? * BLOCKS_PER_MULTIPROCESSOR,
            load_time,
        })
    }

    /// How long the driver took to compile and load them.
    pub(crate) fn load_time(&self) -> Duration {
        self.load_time
    }

    /// Copies the pieces `first..first + count` of a table.
    ///
    /// # Errors
    /// More pieces than the table has, or the driver refuses.
    pub(crate) fn move_pieces(
        &self,
        stream: &Stream,
        from: At<'_>,
        to: At<'_>,
        table: &Table<Piece>,
        first: u64,
        count: u64,
    ) -> Result<()> {
        ensure!(
            first.checked_add(count).is_some_and(|end| end <= table.rows),
            "found pieces {first} + {count}, expected some of {}",
            table.rows
        );
        let row = size_of::<Piece>() as u64;
        let rows = table.memory.address(first * row, count * row)?;
        let (source, destination) = (from.address(table.ends[0])?, to.address(table.ends[1])?);
        self.launch(stream, self.move_pieces, "move_pieces", count, [source, destination, rows, count, 0, 0])
    }

    /// Writes the data of every block of the table.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn fill(
        &self,
        stream: &Stream,
        pool: &DeviceMemory,
        table: &Table<Block>,
        pattern: Pattern,
    ) -> Result<()> {
        let (pool, rows) = (pool.address(0, table.ends[0])?, table.memory.address(0, 0)?);
        let arguments = [pool, rows, table.rows, pattern.seed, pattern.flow, 0];
        self.launch(stream, self.fill_blocks, "fill_blocks", table.rows, arguments)
    }

    /// Overwrites every block of the table.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn poison(&self, stream: &Stream, pool: &DeviceMemory, table: &Table<Block>) -> Result<()> {
        let (pool, rows) = (pool.address(0, table.ends[0])?, table.memory.address(0, 0)?);
        self.launch(stream, self.poison_blocks, "poison_blocks", table.rows, [pool, rows, table.rows, 0, 0, 0])
    }

    /// Compares every block of the table; waits. How many were wrong, and the first of them by its place in the table.
    ///
    /// # Errors
    /// The driver refuses, or the kernel failed.
    pub(crate) fn check(
        &self,
        scratch: &mut Scratch,
        stream: &Stream,
        pool: &DeviceMemory,
        table: &Table<Block>,
        pattern: Pattern,
    ) -> Result<(u64, Option<u64>)> {
        let size = size_of::<Verdict>() as u64;
        let none = [0_u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat();
        scratch.here.bytes()?.copy_from_slice(&none);
        stream.to_device(&scratch.here, 0, &scratch.there, 0, size)?;
        let verdict = scratch.there.address(0, size)?;
        let (pool, rows) = (pool.address(0, table.ends[0])?, table.memory.address(0, 0)?);
        let arguments = [pool, rows, table.rows, pattern.seed, pattern.flow, verdict];
        self.launch(stream, self.check_blocks, "check_blocks", table.rows, arguments)?;
        stream.to_host(&scratch.there, 0, &scratch.here, 0, size)?;
        stream.synchronize()?;
        let (wrong, first) = scratch.here.bytes()?.split_at(8);
        let (wrong, first) = (u64::from_le_bytes(wrong.try_into()?), u64::from_le_bytes(first.try_into()?));
        Ok((wrong, (wrong > 0).then_some(first)))
    }

    /// Reads all of a memory once, but for the last bytes that are no multiple of 16; the first 8 of them are written over if
    /// all are zero.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn read_all(&self, stream: &Stream, memory: &DeviceMemory) -> Result<()> {
        let start = memory.address(0, memory.bytes())?;
        let arguments = [start, memory.bytes() / 16, start, 0, 0, 0];
        self.launch(stream, self.read_all, "read_all", u64::from(self.grid), arguments)
    }

    /// Starts a kernel whose arguments are all of 64 bits; a kernel reads the first ones, as many as it has.
    fn launch(
        &self,
        stream: &Stream,
        function: sys::CUfunction,
        name: &'static str,
        rows: u64,
        mut arguments: [u64; 6],
    ) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        self.gpu.bind()?;
        let mut pointers = arguments.each_mut().map(|argument| std::ptr::from_mut(argument).cast::<c_void>());
        let grid = (u32::try_from(rows).unwrap_or(u32::MAX).min(self.grid), 1, 1);
        // SAFETY: the argument list is that of the kernel in blocks.cu, the driver copies it before it returns, and the
        // memory that the addresses name waits for the device before it is freed.
        unsafe { launch_kernel(function, grid, (THREADS, 1, 1), 0, stream.handle, &mut pointers) }.named(name)?;
        Ok(())
    }
}

impl Drop for Kernels {
    fn drop(&mut self) {
        let _done = self.gpu.synchronize();
        // SAFETY: loaded once, unloaded once, after all its work.
        let _at_the_end = unsafe { module::unload(self.module) };
    }
}
