//! `image`: what an image holds, read-only.
//!
//! One layer is given as it is. Several become one directory, the topmost's files first, which goes with
//! the Pod; it appears when all of it is there.
//!
//! Upstream: KEP-4639, beta and off by default in v1.33.

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use k8s_openapi::api::core::v1::Volume;

use super::mounter::{Context, Error, Mounted, Mounter, SetUp, blocking};
use crate::node::files;
use crate::node::images::Image;

struct ImageVolume {
    reference: String,
    mounted: Option<(Arc<Image>, Mounted)>,
}

pub(super) fn of(volume: &Volume) -> Option<Box<dyn Mounter>> {
    let reference = volume.image.as_ref()?.reference.clone().unwrap_or_default();
    Some(Box::new(ImageVolume { reference, mounted: None }))
}

#[async_trait]
impl Mounter for ImageVolume {
    async fn set_up(&mut self, ctx: &Context<'_>) -> Result<SetUp, Error> {
        if let Some((_, mounted)) = &self.mounted {
            return Ok(mounted.clone().into());
        }
        let image = ctx.node.images.resolve(&self.reference).await;
        let image = image.map_err(|error| error.to_string())?;
        let (of, path) = (image.clone(), ctx.path());
        let dir = blocking(move || {
            open(&of, &path).map_err(|error| format!("failed to lay the image out: {error}"))
        });
        let mounted = Mounted::new(files::Volume::from(dir.await?), true);
        // While it is held, its layers are too.
        self.mounted = Some((image, mounted.clone()));
        Ok(mounted.into())
    }
}

fn open(image: &Image, path: &Path) -> io::Result<Dir> {
    if let [only] = &image.layers[..] {
        return only.dir().try_clone();
    }
    if !path.exists() {
        let partial = path.with_extension("partial");
        match std::fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(&partial)?,
        }
        let into = Dir::open_ambient_dir(&partial, ambient_authority())?;
        image.layers.iter().try_for_each(|layer| add(layer.dir(), &into))?;
        std::fs::rename(&partial, path)?;
    }
    Dir::open_ambient_dir(path, ambient_authority())
}

/// Copies what is not covered by what is there already.
fn add(from: &Dir, into: &Dir) -> io::Result<()> {
    for entry in from.entries()? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        let there = into.symlink_metadata(&name).ok();
        if kind.is_dir() {
            match there {
                None => into.create_dir(&name)?,
                Some(there) if there.is_dir() => {}
                Some(_) => continue,
            }
            add(&from.open_dir(&name)?, &into.open_dir(&name)?)?;
        } else if there.is_none() && kind.is_file() {
            from.copy(&name, into, &name)?;
        } else if there.is_none() && kind.is_symlink() {
            link(from, into, Path::new(&name))?;
        }
    }
    Ok(())
}

#[cfg(not(windows))]
fn link(from: &Dir, into: &Dir, name: &Path) -> io::Result<()> {
    into.symlink_contents(from.read_link_contents(name)?, name)
}

/// Windows has a symlink's kind from what it leads to, and not everybody may make one: the file itself
/// stands for it.
#[cfg(windows)]
fn link(from: &Dir, into: &Dir, name: &Path) -> io::Result<()> {
    match from.metadata(name) {
        Ok(metadata) if metadata.is_file() => from.copy(name, into, name).map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_become_one_directory_the_topmost_first() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for path in ["top/etc", "below/etc/deep", "below/hidden", "all"] {
            std::fs::create_dir_all(at(path)).unwrap();
        }
        std::fs::write(at("top/etc/name"), "top").unwrap();
        std::fs::write(at("top/hidden"), "a file over a directory").unwrap();
        std::fs::write(at("below/etc/name"), "below").unwrap();
        std::fs::write(at("below/etc/deep/file"), "deep").unwrap();
        std::fs::write(at("below/hidden/file"), "never seen").unwrap();
        let open = |path: &str| Dir::open_ambient_dir(at(path), ambient_authority()).unwrap();
        let all = open("all");
        for layer in ["top", "below"] {
            add(&open(layer), &all).unwrap();
        }
        let read = |path: &str| std::fs::read_to_string(at("all").join(path)).unwrap();
        assert_eq!(read("etc/name"), "top");
        assert_eq!(read("etc/deep/file"), "deep");
        assert_eq!(read("hidden"), "a file over a directory");
    }
}
