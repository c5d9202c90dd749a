//! The kinds of `batch`: work that ends; each is entered through `RESOURCES`.

mod cron_job;
mod job;

pub(super) use cron_job::CronJobs;
pub(super) use job::Jobs;
