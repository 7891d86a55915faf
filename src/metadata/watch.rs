//! [`MetadataWatch`]: the newest image, for everyone who asks.

use std::sync::Arc;

use tokio::sync::watch;

use super::image::MetadataImage;

/// The loader has stopped: no further image will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the metadata loader has stopped")]
pub struct LoaderStopped;

/// A handle to the newest image that this broker has applied. Clones see the same images.
#[derive(Debug, Clone)]
pub struct MetadataWatch {
    images: watch::Receiver<Arc<MetadataImage>>,
}

impl MetadataWatch {
    /// A handle to what `images` brings.
    #[must_use]
    pub fn new(images: watch::Receiver<Arc<MetadataImage>>) -> Self {
        Self { images }
    }

    /// The image as it is now; empty until the log was replayed.
    #[must_use]
    pub fn current(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.images.borrow())
    }

    /// Waits for an image newer than the last one that this handle (not its clones) has waited for.
    ///
    /// # Errors
    ///
    /// [`LoaderStopped`] when there will be none.
    pub async fn changed(&mut self) -> Result<Arc<MetadataImage>, LoaderStopped> {
        self.images.changed().await.map_err(|_| LoaderStopped)?;
        Ok(Arc::clone(&self.images.borrow_and_update()))
    }

    /// Waits until everything up to `offset` was applied here.
    ///
    /// # Errors
    ///
    /// [`LoaderStopped`] when that will never be.
    pub async fn wait_for(&self, offset: i64) -> Result<Arc<MetadataImage>, LoaderStopped> {
        let mut images = self.images.clone();
        let image = images.wait_for(|image| image.offset() >= offset).await;
        image.map(|image| Arc::clone(&image)).map_err(|_| LoaderStopped)
    }
}
