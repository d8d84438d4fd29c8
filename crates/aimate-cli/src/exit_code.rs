//! What a command leaves behind for the shell.

/// An exit code that can be read, which std's cannot: the Python package hands it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitCode(u8);

impl ExitCode {
    /// It did what it was asked for.
    pub(crate) const SUCCESS: Self = Self(0);
    /// It did not.
    pub(crate) const FAILURE: Self = Self(1);

    /// As a process ends with it.
    pub(crate) fn number(self) -> u8 {
        self.0
    }
}

impl From<u8> for ExitCode {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

impl From<std::process::ExitCode> for ExitCode {
    fn from(code: std::process::ExitCode) -> Self {
        if code == std::process::ExitCode::SUCCESS { Self::SUCCESS } else { Self::FAILURE }
    }
}
