//! What reading one document may cost.

use std::time::Duration;

use aimate::text::extract::Limits;
use clap::value_parser;

/// The limits of the process that reads a document. What is longer is cut, with a
/// warning, where its format can be cut, and refused where it cannot.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits of reading one document")]
pub(crate) struct Reading {
    /// MiB of its file
    #[arg(long, env = "AIMATE_READ_FILE", value_name = "MIB", default_value_t = 1_024, value_parser = value_parser!(u64).range(1..))]
    read_file: u64,
    /// MiB of its text
    #[arg(long, env = "AIMATE_READ_TEXT", value_name = "MIB", default_value_t = 20, value_parser = value_parser!(u64).range(1..=1_024))]
    read_text: u64,
    /// MiB of memory
    #[arg(long, env = "AIMATE_READ_MEMORY", value_name = "MIB", default_value_t = 512, value_parser = value_parser!(u64).range(16..))]
    read_memory: u64,
    /// Seconds of one processor; four times as many may pass
    #[arg(long, env = "AIMATE_READ_SECONDS", value_name = "SECONDS", default_value_t = 30, value_parser = value_parser!(u64).range(1..=86_400))]
    read_seconds: u64,
    /// Pages, slides, sheets or chapters
    #[arg(long, env = "AIMATE_READ_PAGES", value_name = "PAGES", default_value_t = 10_000, value_parser = value_parser!(u64).range(1..))]
    read_pages: u64,
    /// How many times its size an archive may unpack to
    #[arg(long, env = "AIMATE_READ_RATIO", value_name = "TIMES", default_value_t = 100, value_parser = value_parser!(u64).range(1..))]
    read_ratio: u64,
    /// How deep elements may be nested
    #[arg(long, env = "AIMATE_READ_DEPTH", value_name = "LEVELS", default_value_t = 64, value_parser = value_parser!(u64).range(1..=1_000))]
    read_depth: u64,
    /// How deep documents may be nested: messages in messages, files attached to them
    #[arg(long, env = "AIMATE_READ_NESTING", value_name = "LEVELS", default_value_t = 8, value_parser = value_parser!(u64).range(0..=50))]
    read_nesting: u64,
    /// Parts, messages and attached files
    #[arg(long, env = "AIMATE_READ_PARTS", value_name = "PARTS", default_value_t = 10_000, value_parser = value_parser!(u64).range(1..))]
    read_parts: u64,
}

impl Reading {
    pub(crate) fn limits(&self) -> Limits {
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let mib = |n: u64| n.saturating_mul(1 << 20);
        Limits::default()
            .input(mib(self.read_file))
            .output(size(mib(self.read_text)))
            .memory(mib(self.read_memory))
            .cpu(Duration::from_secs(self.read_seconds))
            .wall(Duration::from_secs(self.read_seconds.saturating_mul(4)))
            .pages(size(self.read_pages))
            .ratio(self.read_ratio)
            .depth(size(self.read_depth))
            .nesting(size(self.read_nesting))
            .parts(size(self.read_parts))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        reading: Reading,
    }

    impl Reading {
        pub(crate) fn of_defaults() -> Self {
            Command::parse_from(["x"]).reading
        }
    }

    #[test]
    fn defaults_are_those_of_the_library() {
        assert_eq!(Reading::of_defaults().limits(), Limits::default());
        let more = Command::parse_from(["x", "--read-seconds", "300", "--read-text", "100"]).reading.limits();
        assert_eq!((more.cpu, more.wall), (Duration::from_secs(300), Duration::from_secs(1_200)));
        assert_eq!(more.output, 100 << 20);
    }
}
