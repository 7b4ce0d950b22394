//! What an agent keeps and cannot deliver.

use trenza_shared::wire::sync::{KEPT_MAX, Kept, SEGMENTS_MAX};

use super::*;

#[tokio::test]
async fn what_an_agent_keeps_and_cannot_deliver_is_told_and_holds_no_acknowledgement_up() {
    let site = Site::start().await;
    let device = site.device(1);
    let mut hello = Hello {
        lanes: vec![LaneHead {
            epoch: 1,
            lane: Lane::Visits,
            seq: 3,
            hash: CHAIN_START,
            oldest: 1,
        }],
        ..device.hello_of(Some(1))
    };
    let welcome = async |hello: &Hello| {
        let answer = device.say(hello).await.unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.error());
        Welcome::from_bytes(&answer.body).unwrap()
    };
    assert!(!welcome(&hello).await.program.is_empty());
    for number in [1, 3] {
        let answer = device.frame(number, Some(1)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.error());
    }
    assert_eq!(welcome(&hello).await.lanes[0].acked, 1);
    hello.kept.push(Kept {
        epoch: 1,
        lane: Lane::Visits,
        first: 2,
        last: 2,
        code: "bad_frame".into(),
    });
    let told = welcome(&hello).await;
    assert_eq!((told.lanes[0].acked, told.lanes[0].archived), (3, 3));
    // The answer to a frame says the same.
    let answer = device.frame(3, Some(1)).await;
    assert!(matches!(Ack::from_bytes(&answer.body).unwrap(), Ack::Stored(have) if have.acked == 3));
    let fleet = crate::sync::fleet::read(
        &*site.server.app.store,
        &site.server.app.registry,
        site.server.clock.wall_ms(),
    );
    assert_eq!(fleet.unwrap().agents[0].kept, hello.kept);
    // More than a hello holds is refused.
    hello.kept = vec![hello.kept[0].clone(); KEPT_MAX + 1];
    assert_eq!(device.say(&hello).await.unwrap().status, 400);
    site.close().await;
}

#[tokio::test]
async fn as_many_runs_as_an_agent_may_keep_hold_nothing_up_and_a_few_are_named_in_an_answer() {
    let site = Site::start().await;
    let device = site.device(1);
    let last = 2 * (SEGMENTS_MAX as u64 + 40);
    let mut hello = Hello {
        lanes: vec![LaneHead {
            epoch: 1,
            lane: Lane::Visits,
            seq: last,
            hash: CHAIN_START,
            oldest: 1,
        }],
        ..device.hello_of(Some(1))
    };
    let heard = async |hello: &Hello| {
        let answer = device.say(hello).await.unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.error());
        Welcome::from_bytes(&answer.body).unwrap().lanes.remove(0)
    };
    heard(&hello).await;
    for number in (2..=last).step_by(2) {
        let answer = device.frame(number, Some(1)).await;
        let Ack::Stored(have) = Ack::from_bytes(&answer.body).unwrap() else {
            panic!("{number} is not stored");
        };
        assert!(have.acked == 0 && have.beyond.len() <= SEGMENTS_MAX);
    }
    assert_eq!(heard(&hello).await.beyond.len(), SEGMENTS_MAX);
    let odd = |number: u64| Kept {
        epoch: 1,
        lane: Lane::Visits,
        first: number,
        last: number,
        code: "bad_frame".into(),
    };
    // Runs of other lanes fill the list: as long as it may be, the hello is read.
    let mine = (1..last).step_by(2).map(odd);
    let others = (0..).map(|number| Kept {
        epoch: u32::MAX,
        ..odd(u64::MAX - 2 * number)
    });
    hello.kept = mine.chain(others).take(KEPT_MAX).collect();
    let have = heard(&hello).await;
    assert_eq!((have.acked, have.beyond.len()), (last, 0));
    site.close().await;
}
