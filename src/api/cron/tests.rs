use super::*;

/// The times that follow `from`, one after the other.
#[track_caller]
fn check(schedule: &str, from: &str, expect: &[&str]) {
    let schedule = Schedule::parse(schedule).unwrap();
    let mut at: Timestamp = from.parse().unwrap();
    for time in expect {
        at = schedule.next(at).unwrap();
        assert_eq!(at, time.parse::<Timestamp>().unwrap(), "{at} is not {time}");
    }
}

#[track_caller]
fn refused(schedule: &str, expect: &str) {
    assert_eq!(Schedule::parse(schedule).unwrap_err(), expect);
}

#[test]
fn times_fit_all_fields() {
    let from = "2012-07-09T14:45:00Z";
    check("*/15 * * * *", "2012-07-09T14:44:59.7Z", &["2012-07-09T14:45:00Z"]);
    check("0/15 * * * *", from, &["2012-07-09T15:00:00Z", "2012-07-09T15:15:00Z"]);
    check("20-35/15 * * * *", from, &["2012-07-09T15:20:00Z", "2012-07-09T15:35:00Z"]);
    check("5,50 9-17 * * mon-fri", from, &["2012-07-09T14:50:00Z", "2012-07-09T15:05:00Z"]);
    check("0 12 9 Jul,dec *", from, &["2012-12-09T12:00:00Z", "2013-07-09T12:00:00Z"]);
    check("30 23 31 12 *", from, &["2012-12-31T23:30:00Z", "2013-12-31T23:30:00Z"]);
    check("0 0 29 Feb ?", from, &["2016-02-29T00:00:00Z"]);
    check("0 0 * * 0", from, &["2012-07-15T00:00:00Z", "2012-07-22T00:00:00Z"]);
}

#[test]
fn two_restrictions_of_the_day_are_alternatives() {
    let from = "2012-07-09T14:45:00Z";
    check("0 0 15 * wed", from, &["2012-07-11T00:00:00Z", "2012-07-15T00:00:00Z"]);
    // A step takes the star's meaning away.
    check(
        "0 0 */20 * wed",
        from,
        &["2012-07-11T00:00:00Z", "2012-07-18T00:00:00Z", "2012-07-21T00:00:00Z"],
    );
    check("0 0 15 * *", from, &["2012-07-15T00:00:00Z", "2012-08-15T00:00:00Z"]);
}

#[test]
fn words_stand_for_fields() {
    let from = "2012-07-09T14:45:00Z";
    check("@hourly", from, &["2012-07-09T15:00:00Z"]);
    check("@midnight", from, &["2012-07-10T00:00:00Z"]);
    check("@weekly", from, &["2012-07-15T00:00:00Z"]);
    check("@monthly", from, &["2012-08-01T00:00:00Z"]);
    check("@yearly", from, &["2013-01-01T00:00:00Z"]);
    check("@every 1h30m", "2012-07-09T14:45:00.9Z", &["2012-07-09T16:15:00Z"]);
    check("@every 1.5s", from, &["2012-07-09T14:45:01Z"]);
    check("@every 3ms", from, &["2012-07-09T14:45:01Z"]);
}

#[test]
fn what_never_comes_is_not_waited_for() {
    for schedule in ["0 0 30 Feb ?", "0 0 31 apr *", ", * * * *"] {
        let schedule = Schedule::parse(schedule).unwrap();
        assert_eq!(schedule.next(Timestamp::UNIX_EPOCH), None);
    }
}

#[test]
fn clocks_are_put_forward_and_back() {
    let zone = |fields: &str| format!("TZ=America/New_York {fields}");
    let spring = "2012-03-11T00:00:00-05:00";
    check(&zone("0 * * * ?"), spring, &["2012-03-11T01:00:00-05:00", "2012-03-11T03:00:00-04:00"]);
    check(&zone("0 2 * * ?"), spring, &["2012-03-12T02:00:00-04:00"]);
    check(&zone("30 2 11 Mar ?"), spring, &["2013-03-11T02:30:00-04:00"]);
    let autumn = "2012-11-04T00:00:00-04:00";
    let twice =
        ["2012-11-04T01:00:00-04:00", "2012-11-04T01:00:00-05:00", "2012-11-05T01:00:00-05:00"];
    check(&zone("0 1 * * ?"), autumn, &twice);
    check(&zone("30 2 04 Nov ?"), autumn, &["2012-11-04T02:30:00-05:00"]);
    // There, midnight was skipped.
    let south = "CRON_TZ=America/Sao_Paulo 0 9 10 * ?";
    check(south, "2018-10-17T05:00:00-04:00", &["2018-11-10T06:00:00-05:00"]);
    check(
        "TZ=America/Sao_Paulo 0 9 22 * ?",
        "2018-02-14T05:00:00-05:00",
        &["2018-02-22T07:00:00-05:00"],
    );
}

#[test]
fn slips_are_named_as_upstream_names_them() {
    refused("", "empty spec string");
    refused("* * * *", "expected exactly 5 fields, found 4: [* * * *]");
    refused("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]");
    refused("60 * * * *", "end of range (60) above maximum (59): 60");
    refused("* * 0 * *", "beginning of range (0) below minimum (1): 0");
    refused("9-5 * * * *", "beginning of range (9) beyond end of range (5): 9-5");
    refused("1-2-3 * * * *", "too many hyphens: 1-2-3");
    refused("1/2/3 * * * *", "too many slashes: 1/2/3");
    refused("*/0 * * * *", "step of range should be a positive number: */0");
    refused("* * * * 7", "end of range (7) above maximum (6): 7");
    let text = "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax";
    refused("x * * * *", text);
    refused("@often", "unrecognized descriptor: @often");
    let text = "failed to parse duration @every soon: time: invalid duration \"soon\"";
    refused("@every soon", text);
    refused("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\"");
    let text = "failed to parse duration @every 5x: time: unknown unit \"x\" in duration \"5x\"";
    refused("@every 5x", text);
    let text = "provided bad location Moon/Sea: unknown time zone Moon/Sea";
    refused("TZ=Moon/Sea * * * * *", text);
}

#[test]
fn zones_are_known_by_their_exact_names() {
    assert!(time_zone("Asia/Tokyo").is_some() && time_zone("Etc/UTC").is_some());
    assert!(time_zone("asia/tokyo").is_none() && time_zone("Asia").is_none());
}
