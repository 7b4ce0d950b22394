//! That nothing is missing, and what is.

use trenza_shared::{
    id::{AgentId, BootId, ChainHash, Lane},
    store::{Batch, Durable},
    wire::sync::{Began, Hello, LaneEnd, LaneHead, LaneRun},
};

use super::{Browser, Role, Server};
use crate::sync::fleet;
use crate::tables::{AgentRow, AgentState, CONTACTS, ContactRow, CopyOfRow, LANES, LaneRow};

/// A tablet that captured up to 852 and of which 840 are here; its clock is three hours ahead, and a copy of it exists.
fn tablet(server: &Server, oldest: u64, state: AgentState) -> AgentId {
    let (agent, hash) = (AgentId([4; 16]), ChainHash([9; 32]));
    let now_ms = server.app.clock.wall_ms();
    let row = AgentRow {
        touchpoint: "Tablet-4".into(),
        country: "ES".into(),
        zone: "Europe/Madrid".into(),
        venue: "Feria Norte".into(),
        write_key: "wk_4".into(),
        enrolled_ms: 0,
        state,
        copy_of: None,
    };
    let head = LaneHead {
        epoch: 2,
        lane: Lane::Visits,
        seq: 852,
        hash,
        oldest,
    };
    let hello = Hello {
        agent,
        program: "0.1.0".into(),
        epoch: 2,
        lanes: vec![head],
        waiting: 12,
        boot: BootId([0; 16]),
        boottime_ms: 5,
        wall_ms: now_ms + 3 * 3_600_000,
        clock_offset_ms: None,
        disk_free_bytes: 7_400_000_000,
        lineage: Vec::new(),
        instance: None,
        proof: None,
        introduction: None,
        kept: vec![],
        began: None,
    };
    let contact = ContactRow {
        earlier: None,
        at_ms: now_ms - 180_000,
        hello,
        fork: Some("epoch 2".into()),
        lineage: Vec::new(),
    };
    let mut batch = Batch::new();
    CONTACTS.put(&mut batch, &agent, &contact).unwrap();
    LANES
        .put(
            &mut batch,
            &(agent, 2, Lane::Visits),
            &LaneRow::up_to(840, hash),
        )
        .unwrap();
    server.app.store.commit(batch, Durable::Yes).unwrap();
    server
        .app
        .registry
        .put_agent(&agent, &row, Batch::new())
        .unwrap();
    agent
}

#[tokio::test]
async fn the_fleet_says_which_numbers_are_missing_and_whether_they_can_still_come() {
    let server = Server::start().await;
    let browser = Browser::of(&server, Role::Admin).await;
    tablet(&server, 1, AgentState::Active);
    let page = browser.get("/es/fleet").await.text;
    for text in [
        "Faltan 12 visitas (nº 841–852) de Tablet-4: siguen en el dispositivo y llegarán.",
        "3 h adelantado",
        "hace 3 min",
        "7,4 GB",
        "Su disco se restauró o se copió",
        "Vida 2 de su registro",
        "Huecos: 12",
        "Recinto: Feria Norte",
    ] {
        assert!(page.contains(text), "{text} not in {page}");
    }
    tablet(&server, 850, AgentState::Active);
    let page = browser.get("/en/fleet").await.text;
    for text in [
        "Missing: 9 visits (no. 841–849) of Tablet-4: they are no longer on the device: they were lost.",
        "Missing: 3 visits (no. 850–852) of Tablet-4: they are still on the device and will arrive.",
    ] {
        assert!(page.contains(text), "{text} not in {page}");
    }
    tablet(&server, 1, AgentState::Revoked);
    assert!(
        browser
            .get("/en/fleet")
            .await
            .text
            .contains("which can no longer send them")
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn an_agent_whose_store_was_gone_says_so_and_what_it_had_given_out_is_missing() {
    let server = Server::start().await;
    let browser = Browser::of(&server, Role::Admin).await;
    let agent = tablet(&server, 1, AgentState::Active);
    let mut contact = CONTACTS.get(&*server.app.store, &agent).unwrap().unwrap();
    (contact.fork, contact.hello.epoch) = (None, 3);
    contact.hello.lanes[0].epoch = 3;
    let put = |contact: &ContactRow| {
        let mut batch = Batch::new();
        CONTACTS.put(&mut batch, &agent, contact).unwrap();
        server.app.store.commit(batch, Durable::Yes).unwrap();
    };
    // It does not know itself: that it names nothing of a life that is stored here tells it.
    put(&contact);
    let page = browser.get("/es/fleet").await.text;
    assert!(page.contains("Empezó de nuevo en la vida 3"), "{page}");
    // By its own word, with how far it had written.
    contact.hello.began = Some(Began {
        epoch: 3,
        at_ms: server.app.clock.wall_ms(),
        ends: vec![LaneEnd {
            epoch: 2,
            lane: Lane::Visits,
            seq: 1_000,
        }],
        aside: false,
        back: Vec::new(),
        searching: false,
    });
    put(&contact);
    let page = browser.get("/en/fleet").await.text;
    for text in [
        "what it had not sent by then is lost or still on its old disk",
        "Missing: 160 visits (no. 841–1000) of Tablet-4: they are no longer on the device: they were lost.",
    ] {
        assert!(page.contains(text), "{text} not in {page}");
    }
    let list = serde_json::to_value(crate::admin::fleet::list(&server.app).unwrap()).unwrap();
    let waits = 852; // in its new life
    assert_eq!(list["agents"][0]["missing"], 160 + waits);
    let line = list["agents"][0]["began_anew"].as_str().unwrap();
    assert!(line.starts_with("began anew in epoch 3"), "{line}");
    // What stands aside is read: what it gives comes under other numbers, the rest is lost.
    let began = contact.hello.began.as_mut().unwrap();
    (began.aside, began.searching) = (true, true);
    put(&contact);
    let page = browser.get("/en/fleet").await.text;
    assert!(
        page.contains("Its store was damaged") && !page.contains("they were lost"),
        "{page}"
    );
    let gaps = || {
        let app = &server.app;
        let fleet = fleet::read(&*app.store, &app.registry, app.clock.wall_ms()).unwrap();
        let gaps = fleet.agents.into_iter().flat_map(|one| one.gaps);
        let of_life = gaps.filter(|gap| gap.epoch == 2);
        of_life
            .map(|gap| (gap.from, gap.to, gap.on_device))
            .collect::<Vec<_>>()
    };
    assert_eq!(gaps(), [(841, 1_000, true)]);
    let began = contact.hello.began.as_mut().unwrap();
    began.searching = false;
    began.back = vec![LaneRun {
        epoch: 2,
        lane: Lane::Visits,
        first: 700,
        last: 950,
    }];
    put(&contact);
    let page = browser.get("/en/fleet").await.text;
    assert!(page.contains("no. 951–1000"), "{page}");
    assert_eq!(gaps(), [(951, 1_000, false)]);
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_copy_says_whose_it_is_and_an_agent_names_its_copies() {
    let server = Server::start().await;
    let browser = Browser::of(&server, Role::Admin).await;
    let parent = tablet(&server, 1, AgentState::Active);
    let copy = AgentId([5; 16]);
    let row = AgentRow {
        copy_of: Some(CopyOfRow {
            agent: parent,
            epoch: 2,
            at_ms: server.app.clock.wall_ms(),
        }),
        ..server.app.registry.agent(&parent).unwrap()
    };
    server
        .app
        .registry
        .put_agent(&copy, &row, Batch::new())
        .unwrap();
    for (lang, texts) in [
        (
            "es",
            ["Copia de", "1 copia de este agente", "es un agente propio"],
        ),
        (
            "en",
            [
                "Copy of",
                "1 copy of this agent",
                "it is an agent of its own",
            ],
        ),
    ] {
        let page = browser.get(&format!("/{lang}/fleet")).await.text;
        for text in texts {
            assert!(page.contains(text), "{text} not in {page}");
        }
        assert!(page.contains(&parent.to_string()) && page.contains(&copy.to_string()));
    }
    drop(browser);
    server.close().await;
}
