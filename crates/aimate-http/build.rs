//! Packs the page, with the feature `page`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "page")]
    page::pack()?;
    Ok(())
}

#[cfg(feature = "page")]
mod packer;
#[cfg(feature = "page")]
mod script_lexer;

#[cfg(feature = "page")]
mod page {
    #![expect(
        clippy::disallowed_methods,
        reason = "cargo tells a build script where to write by its environment"
    )]

    use std::error::Error;
    use std::fmt::Write as _;
    use std::fs;
    use std::io::Write as _;
    use std::path::{Path, PathBuf};

    use sha2::{Digest as _, Sha256};

    use crate::packer::{self, Files};

    /// What files of the page there may be, by the ending of their names.
    const TYPES: [(&str, &str); 4] = [
        ("js", "text/javascript; charset=utf-8"),
        ("css", "text/css; charset=utf-8"),
        ("svg", "image/svg+xml"),
        ("webmanifest", "application/manifest+json"),
    ];

    /// Writes the files of the page, compressed, and `web_page.rs` with a list of them.
    pub(crate) fn pack() -> Result<(), Box<dyn Error>> {
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?;
        let output = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
        // A link in the checkout, so that the package has them too.
        let web = Path::new(&folder).join("web").canonicalize()?;
        for file in ["packer.rs", "script_lexer.rs"] {
            println!("cargo::rerun-if-changed={file}");
        }
        // Not all of it: its tests are none of the page.
        for part in ["index.html", "icon.svg", "js", "css"] {
            println!("cargo::rerun-if-changed={}", web.join(part).display());
        }
        let mut files = Files::new();
        read(&web, "", &mut files)?;

        let index = files.get("index.html").ok_or("web/index.html is missing")?.clone();
        let script = match files.contains_key("js/main.js") {
            true => packer::script(&files, "js/main.js")?,
            false => String::new(),
        };
        let mut assets = vec![("app.css".to_owned(), packer::style(&files)), ("app.js".to_owned(), script)];
        assets.extend(files.into_iter().filter(|(path, _)| !path.contains('/') && path != "index.html"));
        assets.sort();

        let mut hash = Sha256::new();
        for (name, text) in assets.iter().map(|(name, text)| (name.as_str(), text)).chain([("", &index)]) {
            hash.update(format!("{name}\n{}\n", text.len()));
            hash.update(text);
        }
        let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();

        let mut list =
            format!("const HASH: &str = {hash:?};\nconst TAG: &str = {:?};\n", format!("\"{hash}\""));
        fs::write(output.join("index.html"), index)?;
        writeln!(list, "const INDEX: &str = include_str!(\"index.html\");")?;
        writeln!(list, "const ASSETS: &[Asset] = &[")?;
        for (name, text) in assets {
            let ending = name.rsplit('.').next().unwrap_or_default();
            let known = TYPES.iter().find(|(known, _)| *known == ending);
            let (_, media_type) = known.ok_or_else(|| format!("web/{name}: which media type has that?"))?;
            fs::write(output.join(&name), &text)?;
            fs::write(output.join(format!("{name}.br")), brotli(&text)?)?;
            fs::write(output.join(format!("{name}.gz")), gzip(&text)?)?;
            writeln!(
                list,
                "    Asset {{ name: {name:?}, media_type: {media_type:?}, identity: include_bytes!({name:?}), \
                 gzip: include_bytes!({gzip:?}), brotli: include_bytes!({brotli:?}) }},",
                gzip = format!("{name}.gz"),
                brotli = format!("{name}.br"),
            )?;
        }
        writeln!(list, "];")?;
        fs::write(output.join("web_page.rs"), list)?;
        Ok(())
    }

    /// Reads what the page is made of: beside `index.html`, scripts and style sheets.
    fn read(web: &Path, below: &str, files: &mut Files) -> Result<(), Box<dyn Error>> {
        for entry in fs::read_dir(web.join(below))? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|_| "a name in web/ is no UTF-8")?;
            let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            if entry.path().is_dir() {
                // Others, such as tests, are none of the page.
                if !below.is_empty() || name == "js" || name == "css" {
                    read(web, &path, files)?;
                }
            } else if below.is_empty() || name.ends_with(".js") || name.ends_with(".css") {
                let text =
                    fs::read_to_string(entry.path()).map_err(|error| format!("web/{path}: {error}"))?;
                files.insert(path, text);
            }
        }
        Ok(())
    }

    fn brotli(text: &str) -> std::io::Result<Vec<u8>> {
        let mut compressed = Vec::new();
        let params = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
        brotli::BrotliCompress(&mut text.as_bytes(), &mut compressed, &params)?;
        Ok(compressed)
    }

    fn gzip(text: &str) -> std::io::Result<Vec<u8>> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text.as_bytes())?;
        encoder.finish()
    }
}
