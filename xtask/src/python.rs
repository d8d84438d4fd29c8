//! The Python package: its tests, its types, and its wheel.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Result, capture, run};
use crate::project::Project;

/// The oldest Python that the package is for.
const OLDEST: (u32, u32) = (3, 10);
/// What builds the wheel.
const WHEEL_TOOLS: &str = "maturin==1.16.0\nzopflipy==1.14";
/// Bytes of a wheel at most.
const MAX_WHEEL: u64 = 20_000_000;

/// The tests, the type checkers and the checks of what is made by a program, over the
/// module of the workspace's build.
pub(crate) fn test(project: &Project) -> Result {
    let folder = project.root.join("crates/aimate-py");
    let python = environment(
        project,
        "test",
        &fs::read_to_string(folder.join("tests/requirements.txt")).map_err(|error| error.to_string())?,
    )?;
    project.build()?;
    assemble(project, &folder)?;
    let step = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        // Found as it is in the checkout, with the module of the build beside it.
        command.current_dir(&folder).env("PYTHONPATH", folder.join("python")).args(arguments);
        // A package that is missing is a fault, not a reason to leave its tests out.
        command.env("AIMATE_PY_ALL_PACKAGES", "1");
        run(&mut command)
    };
    step(&["tools/make_sync.py", "--check"])?;
    step(&["tools/make_types.py", "--check"])?;
    step(&["-m", "mypy"])?;
    step(&["-m", "mypy", "--strict", "../../examples/python"])?;
    step(&["-m", "mypy.stubtest", "aimate._aimate"])?;
    step(&["-m", "pyright", "--pythonpath", &python.to_string_lossy()])?;
    step(&["-m", "pyright", "--pythonpath", &python.to_string_lossy(), "../../examples/python"])?;
    step(&["-m", "pytest"])
}

/// The wheel, in `target/wheels`, and a look at it from an environment that has nothing
/// else.
pub(crate) fn wheel(project: &Project) -> Result {
    let python = environment(project, "wheel", WHEEL_TOOLS)?;
    let folder = project.target.join("wheels");
    let _ = fs::remove_dir_all(&folder);
    let mut build = Command::new(&python);
    build.current_dir(project.root.join("crates/aimate-py"));
    run(build.args(["-m", "maturin", "build", "--profile", "wheel", "--out"]).arg(&folder))?;
    let wheel = fs::read_dir(&folder)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .ok_or("maturin made no wheel")?;
    let mut pack = Command::new(&python);
    run(pack.arg(project.root.join("crates/aimate-py/tools/pack_wheel.py")).arg(&wheel))?;
    let bytes = fs::metadata(&wheel).map_err(|error| error.to_string())?.len();
    if bytes > MAX_WHEEL {
        return Err(format!("{} has {bytes} bytes; the most is {MAX_WHEEL}", wheel.display()).into());
    }
    let alone = environment(project, "alone", &wheel.to_string_lossy())?;
    let mut pip = Command::new(&alone);
    run(pip
        .args(["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-index", "--no-deps"])
        .arg(&wheel))?;
    let mut look = Command::new(&alone);
    let code = "from aimate.testing import Scripted\nwith Scripted('It works.').open_sync() as engine:\n    print(engine.chat('?').text())";
    run(look.args(["-c", code]))?;
    println!("{} ({bytes} bytes)", wheel.display());
    Ok(())
}

/// The Python of an environment with these packages, made the first time.
pub(crate) fn environment(project: &Project, name: &str, packages: &str) -> Result<PathBuf> {
    let folder = project.target.join("python").join(name);
    let (python, marker) = (folder.join("bin/python"), folder.join("packages.txt"));
    if fs::read_to_string(&marker).is_ok_and(|known| known == packages) {
        return Ok(python);
    }
    let _ = fs::remove_dir_all(&folder);
    let mut make = Command::new(interpreter()?);
    run(make.args(["-m", "venv"]).arg(&folder))?;
    if !packages.ends_with(".whl") {
        fs::write(folder.join("requirements.txt"), packages).map_err(|error| error.to_string())?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        run(pip.arg(folder.join("requirements.txt")))?;
    }
    fs::write(&marker, packages).map_err(|error| error.to_string())?;
    Ok(python)
}

/// A Python that the package is for: `PYTHON`, else `python3`.
fn interpreter() -> Result<String> {
    let python = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let code = "import sys, venv, ensurepip; print(*sys.version_info[:2])";
    let found = capture(Command::new(&python).args(["-c", code])).map_err(|failure| {
        format!(
            "the tests of the Python package and of the page need Python with venv and pip (`apt install \
             python3-venv`, or name one in PYTHON): {}",
            failure.message
        )
    })?;
    let mut numbers = found.split(' ').map(|number| number.parse::<u32>().unwrap_or_default());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if version < OLDEST {
        let ((major, minor), (least, of)) = (version, OLDEST);
        return Err(
            format!("{python} is {major}.{minor}; the Python package is for {least}.{of} and later").into()
        );
    }
    Ok(python)
}

/// Puts the module that was built beside the package's Python.
fn assemble(project: &Project, folder: &Path) -> Result {
    let ending = if cfg!(target_os = "macos") { "dylib" } else { "so" };
    let built = project.target.join("debug").join(format!("libaimate_py.{ending}"));
    let module = folder.join("python/aimate/_aimate.abi3.so");
    // Under another name first: a module that a process has open is not written over.
    let fresh = module.with_extension("new");
    fs::copy(&built, &fresh)
        .and_then(|_| fs::rename(&fresh, &module))
        .map_err(|error| format!("{}: {error}", built.display()).into())
}
