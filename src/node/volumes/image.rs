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
use super::tree;
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
        image.layers.iter().try_for_each(|layer| tree::add(layer.dir(), &into))?;
        std::fs::rename(&partial, path)?;
    }
    Dir::open_ambient_dir(path, ambient_authority())
}
