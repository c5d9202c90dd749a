//! How containers are stopped, and their hooks.

use super::*;

const HOOK: &str = "true";

/// A Pod of these containers; `<` marks a postStart hook, `>` a preStop hook.
fn many(policy: &str, sidecars: &[&str], apps: &[&str]) -> Pod {
    let container = |name: &&str| {
        let handler = json!({ "exec": { "command": [HOOK] } });
        let mut lifecycle = json!({});
        if name.contains('<') {
            lifecycle["postStart"] = handler.clone();
        }
        if name.contains('>') {
            lifecycle["preStop"] = handler;
        }
        let name = name.trim_matches(['<', '>']);
        json!({ "name": name, "image": "busybox", "lifecycle": lifecycle })
    };
    let sidecars = sidecars.iter().map(|name| {
        let mut sidecar = container(name);
        sidecar["restartPolicy"] = json!("Always");
        sidecar
    });
    pod(json!({
        "restartPolicy": policy,
        "terminationGracePeriodSeconds": 30,
        "initContainers": sidecars.collect::<Vec<Value>>(),
        "containers": apps.iter().map(container).collect::<Vec<Value>>(),
    }))
}

fn up(pod: &Pod) -> Story {
    let mut story = Story::of(pod);
    while story.worker.containers.iter().any(|container| !container.is_running()) {
        story.plan();
        for index in 0..story.worker.containers.len() {
            if matches!(story.worker.containers[index].state, State::Starting { .. }) {
                story.started(index);
                story.post_started(index, Ok(()));
            }
        }
    }
    story.events.clear();
    story
}

#[test]
fn a_container_that_listens_is_told_and_has_its_grace_period() {
    let pod = many("Always", &[], &["app"]);
    let mut story = up(&pod);
    story.worker.listens(0, true);
    story.deleted(&pod, 30);
    // It closes its connections itself.
    assert_eq!(story.plan(), ["drain", "tell app", "retire", "wake +30s"]);
    story.wait(29);
    assert_eq!(story.plan(), ["wake +1s"]);
    story.exited(0, 0);
    assert_eq!(story.plan(), ["finish"]);
    assert_eq!(story.shown(0), "Completed x0");
    assert_eq!(story.events, ["Killing: Stopping container app"]);
}

#[test]
fn one_that_does_not_end_in_its_grace_period_is_killed() {
    let pod = many("Always", &[], &["app"]);
    let mut story = up(&pod);
    story.worker.listens(0, true);
    story.deleted(&pod, 30);
    story.plan();
    story.wait(5);
    // A later DELETE may shorten it, but leaves it two seconds since it was told.
    story.deleted(&pod, 1);
    assert_eq!(story.plan(), ["wake +1s"]);
    story.wait(1);
    assert_eq!(story.plan(), ["kill -9 app"]);
    assert!(story.plan().is_empty());

    let mut story = up(&pod);
    story.worker.listens(0, true);
    story.deleted(&pod, 1);
    assert_eq!(story.plan(), ["drain", "tell app", "retire", "wake +2s"]);
    story.worker.end(Ending::Gone);
    assert_eq!(story.plan(), ["wake +2s"]);
    story.wait(2);
    assert_eq!(story.plan(), ["kill -9 app"]);
}

#[test]
fn a_pre_stop_hook_runs_before_and_connections_may_come_meanwhile() {
    let pod = many("Always", &[], &["app>", "other"]);
    let mut story = up(&pod);
    story.deleted(&pod, 30);
    assert_eq!(story.plan(), ["drain", "preStop app", "await quiet", "wake +30s"]);
    story.wait(10);
    story.pre_stopped(0, Ok(()));
    assert_eq!(story.plan(), ["retire", "wake +20s"]);
    // Too late: somebody may have come.
    story.worker.quiet();
    assert_eq!(story.plan(), ["wake +20s"]);
    story.worker.drained();
    assert_eq!(story.plan(), ["kill -15 app", "kill -15 other"]);
    assert_eq!(
        story.events,
        ["Killing: Stopping container app", "Killing: Stopping container other"]
    );
}

#[test]
fn a_container_waits_for_its_own_hook_and_for_the_pods_connections() {
    let pod = many("Always", &["side"], &["slow>", "quick>", "plain"]);
    let mut story = up(&pod);
    story.deleted(&pod, 30);
    let steps = ["drain", "preStop slow", "preStop quick", "await quiet", "wake +30s"];
    assert_eq!(story.plan(), steps);
    story.worker.quiet();
    assert_eq!(story.plan(), ["kill -15 plain", "wake +30s"]);
    story.exited(3, 143);
    story.pre_stopped(2, Ok(()));
    assert_eq!(story.plan(), ["await quiet", "wake +30s"]);
    story.worker.quiet();
    assert_eq!(story.plan(), ["kill -15 quick", "wake +30s"]);
    story.exited(2, 143);
    // A sidecar's turn has yet to come.
    assert_eq!(story.plan(), ["wake +30s"]);
    story.pre_stopped(1, Ok(()));
    assert_eq!(story.plan(), ["retire", "wake +30s"]);
    story.worker.drained();
    assert_eq!(story.plan(), ["kill -15 slow", "wake +30s"]);
}

#[test]
fn a_pre_stop_hook_that_fails_is_told_and_holds_nothing_up() {
    let pod = many("Always", &[], &["app>"]);
    let mut story = up(&pod);
    story.worker.listens(0, true);
    story.deleted(&pod, 30);
    story.plan();
    story.pre_stopped(0, Err("exited with 1"));
    assert_eq!(story.plan(), ["tell app", "retire", "wake +30s"]);
    assert_eq!(
        story.events,
        ["Killing: Stopping container app", "FailedPreStopHook: PreStopHook failed"]
    );
}

#[test]
fn a_pre_stop_hook_lasts_no_longer_than_the_grace_period() {
    let pod = many("Always", &[], &["app>", "deaf>"]);
    let mut story = up(&pod);
    story.worker.listens(0, true);
    story.deleted(&pod, 30);
    story.plan();
    story.wait(30);
    let steps = ["cut preStop app", "tell app", "cut preStop deaf", "kill -15 deaf", "wake +2s"];
    assert_eq!(story.plan(), steps);
    assert_eq!(story.events.len(), 4);
    story.wait(2);
    assert_eq!(story.plan(), ["kill -9 app"]);
    // Nothing comes of a late answer.
    story.pre_stopped(0, Ok(()));
    assert!(story.plan().is_empty());
}

#[test]
fn without_grace_there_is_no_pre_stop_hook() {
    let pod = many("Always", &[], &["app>"]);
    let mut story = up(&pod);
    story.worker.end(Ending::Gone);
    assert_eq!(story.plan(), ["kill -15 app"]);
}

#[test]
fn sidecars_end_after_the_apps_the_last_one_first() {
    let pod = many("Always", &["first>", "second"], &["app"]);
    let mut story = up(&pod);
    (0..3).for_each(|index| story.worker.listens(index, true));
    story.deleted(&pod, 30);
    assert_eq!(story.plan(), ["drain", "preStop first", "tell app", "wake +30s"]);
    story.pre_stopped(0, Ok(()));
    assert_eq!(story.plan(), ["retire", "wake +30s"]);
    story.exited(2, 0);
    assert_eq!(story.plan(), ["tell second", "wake +30s"]);
    story.exited(1, 0);
    assert_eq!(story.plan(), ["tell first", "wake +30s"]);
    story.exited(0, 0);
    assert_eq!(story.plan(), ["finish"]);
}

#[test]
fn a_sidecars_turn_comes_at_the_latest_when_the_grace_period_is_over() {
    let pod = many("Always", &["side"], &["app"]);
    let mut story = up(&pod);
    (0..2).for_each(|index| story.worker.listens(index, true));
    story.deleted(&pod, 30);
    story.plan();
    story.wait(30);
    assert_eq!(story.plan(), ["tell side", "kill -9 app", "wake +2s"]);
}

#[test]
fn sidecars_of_a_finished_pod_have_its_grace_period_one_after_the_other() {
    let pod = many("Never", &["first", "second"], &["app"]);
    let mut story = up(&pod);
    (0..3).for_each(|index| story.worker.listens(index, true));
    story.exited(2, 0);
    assert_eq!(story.plan(), ["tell second", "wake +30s"]);
    story.wait(10);
    story.exited(1, 0);
    assert_eq!(story.plan(), ["tell first", "wake +20s"]);
    story.wait(20);
    assert_eq!(story.plan(), ["kill -9 first"]);
    story.exited(0, 137);
    assert!(story.plan().is_empty());
}

#[test]
fn a_pod_that_failed_has_its_grace_period_too() {
    let mut pod = many("Always", &[], &["app"]);
    pod.spec.as_mut().unwrap().active_deadline_seconds = Some(60);
    let mut story = up(&pod);
    story.worker.listens(0, true);
    story.wait(60);
    assert_eq!(story.plan(), ["tell app", "wake +30s"]);
    story.wait(10);
    assert_eq!(story.plan(), ["wake +20s"]);
    story.deleted(&pod, 5);
    assert_eq!(story.plan(), ["drain", "retire", "wake +5s"]);
    story.exited(0, 0);
    assert_eq!(story.plan(), ["finish"]);
    let (reason, _) = story.worker.failure().unwrap();
    assert_eq!(reason, "DeadlineExceeded");
}

#[test]
fn a_container_that_is_to_run_again_is_stopped_alone() {
    let pod = many("OnFailure", &["side"], &["app>", "other"]);
    let mut story = up(&pod);
    story.worker.listens(1, true);
    let text = "Container app failed liveness probe, will be restarted";
    let happenings = story.worker.restart(1, text.to_owned(), Some(5));
    story.tell(happenings);
    assert!(story.worker.restart(1, text.to_owned(), None).is_empty());
    assert_eq!(story.plan(), ["preStop app", "wake +5s"]);
    story.pre_stopped(1, Ok(()));
    assert_eq!(story.plan(), ["tell app", "wake +5s"]);
    story.wait(3);
    assert_eq!(story.plan(), ["wake +2s"]);
    story.exited(1, 0);
    assert_eq!(story.plan(), ["start app"]);
    assert_eq!(story.shown(1), "Completed x0");
    assert_eq!(story.events, [format!("Killing: {text}")]);
}

#[test]
fn a_sidecar_is_restarted_before_its_turn_to_end() {
    let pod = many("Never", &["side"], &["app"]);
    let mut story = up(&pod);
    story.worker.restart(0, "why".to_owned(), None);
    assert_eq!(story.plan(), ["kill -15 side"]);
    story.exited(0, 143);
    assert_eq!(story.plan(), ["start side"]);
    // But nothing that is never to be restarted.
    story.worker.restart(1, "why".to_owned(), None);
    assert_eq!(story.plan(), ["kill -15 app"]);
    story.exited(1, 143);
    assert_eq!(story.shown(1), "Error x0");
    assert!(!story.plan().contains(&"start app".to_owned()));
}

#[test]
fn a_container_shows_that_it_runs_when_its_post_start_hook_is_over() {
    let pod = many("Always", &["side<"], &["app<", "other"]);
    let mut story = Story::of(&pod);
    assert_eq!(story.plan(), ["start side"]);
    story.started(0);
    assert!(story.plan().is_empty());
    assert_eq!(story.shown(0), "PodInitializing x0");
    story.post_started(0, Ok(()));
    assert_eq!(story.shown(0), "Running x0");
    // The next one is started when the hook of the one before it is over.
    assert_eq!(story.plan(), ["start app"]);
    story.started(1);
    assert!(story.plan().is_empty());
    story.post_started(1, Ok(()));
    assert_eq!(story.plan(), ["start other"]);
}

#[test]
fn a_container_whose_post_start_hook_failed_is_ended_and_tried_again() {
    let pod = many("Always", &[], &["app<>"]);
    let mut story = Story::of(&pod);
    story.plan();
    story.started(0);
    story.post_started(0, Err("command 'false' exited with 1: "));
    assert_eq!(story.plan(), ["preStop app", "wake +30s"]);
    story.pre_stopped(0, Ok(()));
    assert_eq!(story.plan(), ["kill -15 app"]);
    assert_eq!(story.shown(0), "ContainerCreating x0");
    story.exited(0, 143);
    assert_eq!(story.shown(0), "PostStartHookError x0");
    assert_eq!(story.worker.containers[0].last.as_ref().map(|end| end.exit_code), Some(143));
    assert_eq!(
        story.events,
        ["FailedPostStartHook: PostStartHook failed", "Killing: FailedPostStartHook"]
    );
    assert_eq!(story.plan(), ["start app"]);
    story.started(0);
    assert_eq!(story.shown(0), "PostStartHookError x0");
    story.post_started(0, Err("again"));
    story.plan();
    story.pre_stopped(0, Ok(()));
    story.plan();
    story.exited(0, 143);
    assert_eq!(story.shown(0), "CrashLoopBackOff x1");
}

#[test]
fn a_pod_may_be_deleted_while_a_post_start_hook_runs() {
    let pod = many("Always", &[], &["app<", "other"]);
    let mut story = Story::of(&pod);
    story.plan();
    story.started(0);
    story.deleted(&pod, 30);
    assert_eq!(story.plan(), ["drain", "retire", "wake +30s"]);
    story.worker.drained();
    assert_eq!(story.plan(), ["kill -15 app"]);
    story.exited(0, 143);
    assert_eq!(story.plan(), ["finish"]);
    assert!(!story.events.iter().any(|event| event.contains("PostStart")));
}
