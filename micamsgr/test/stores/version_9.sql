-- Made by tests/test_old_stores.py, of the daemon as it was then; see
-- docs/contributing.md.
BEGIN TRANSACTION;
CREATE TABLE conversation (
        id INTEGER PRIMARY KEY,
        bot TEXT NOT NULL,
        page TEXT NOT NULL,
        psid TEXT NOT NULL,
        opened INTEGER NOT NULL,      -- ms: the message that opened it
        heard INTEGER NOT NULL,       -- ms: the last act that opens the window
        quiet_until INTEGER NOT NULL DEFAULT 0, seen INTEGER NOT NULL DEFAULT 0, farewell TEXT,  -- ms: a human is at it
        UNIQUE (bot, page, psid)
    ) STRICT;
INSERT INTO "conversation" VALUES(1,'mica','108463527190842','6284913775102840',1795490910710,1795490910739,0,1795490910757,NULL);
INSERT INTO "conversation" VALUES(2,'mica','108463527190842','6284913775102842',1795490910754,1795490914824,1795492714770,1795490914827,NULL);
INSERT INTO "conversation" VALUES(3,'mica','108463527190842','6284913775102844',1795490914878,1795490914878,0,1795490914891,'01M85SJ8J6XXM371563JNSS90H');
INSERT INTO "conversation" VALUES(4,'mica','108463527190842','6284913775102845',1795490914932,1795490914932,0,1795490914934,NULL);
INSERT INTO "conversation" VALUES(5,'mica','108463527190842','6284913775102843',1795490915712,1795490915712,0,1795490915738,NULL);
INSERT INTO "conversation" VALUES(6,'mica','108463527190842','6284913775102847',1795490915766,1795490915766,0,1795490915769,NULL);
INSERT INTO "conversation" VALUES(7,'mica','108463527190842','6284913775102841',1795490915819,1795490915872,0,1795490915874,NULL);
INSERT INTO "conversation" VALUES(20,'mica','108463527190842','6284913775102848',1795490915874,1795490915874,0,1795490915874,NULL);
INSERT INTO "conversation" VALUES(21,'mica','108463527190842','6284913775102849',1795490915874,1795490915874,0,1795490915874,NULL);
CREATE TABLE deletion (
        id INTEGER PRIMARY KEY,
        code TEXT NOT NULL UNIQUE,    -- by which the person knows the request
        bots TEXT NOT NULL,           -- JSON: the names of the app's
        at INTEGER NOT NULL,          -- ms
        psid TEXT,                    -- who is to be erased, until it is done
        done INTEGER                  -- ms
    ) STRICT;
INSERT INTO "deletion" VALUES(1,'CODEOPEN234567ABCDEF','["mica"]',1795490915874,'6284913775102899',NULL);
INSERT INTO "deletion" VALUES(2,'CODEDONE234567ABCDEF','["mica"]',1795490915874,NULL,1795490915874);
CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL,            -- 16 bytes; see conversation/events.py
        conversation INTEGER REFERENCES conversation,
        bot TEXT NOT NULL,
        page TEXT NOT NULL,
        kind TEXT NOT NULL,
        mid TEXT,
        at INTEGER NOT NULL,          -- ms, by Meta's clock
        received INTEGER NOT NULL,    -- ms
        text TEXT,
        raw BLOB,                     -- of unreadable ones
        state TEXT NOT NULL,
        reason TEXT,
        turn INTEGER REFERENCES turn, source TEXT NOT NULL DEFAULT 'webhook',
        -- What one bot has no use for another may have to answer.
        UNIQUE (key, bot)
    ) STRICT;
INSERT INTO "event" VALUES(1,X'D5146BC80A43E81F98AB14A1A735DD83',1,'mica','108463527190842','message','m_zQcs2L5vn2KsTAnCggbn41WUqms0L10KOl5IQvq0KPdi5uKC5cFlfHjDqWezZxHr',1795490910710,1795490910715,'Are you open on Sunday?',NULL,'done',NULL,1,'webhook');
INSERT INTO "event" VALUES(2,X'A6391B51A256B4BD6FAD2B1F810EC993',1,'mica','108463527190842','postback','m_ISuGtJ5las8GQRaaC1n05ilDnyXZ1GVP7I1IGftA1rqyyOASHEQa5hSnuNkqkhmv',1795490910739,1795490910743,'Opening hours',NULL,'done',NULL,2,'webhook');
INSERT INTO "event" VALUES(3,X'BD496C39CA1D5288FC5B90D9ED8CA3F2',1,'mica','108463527190842','echo','m_GnGnI3OGJkgvYcYjeWJ8wSTURhg8bk2eoaWlzPcuIUDDBL38aiHl6BIXVog11Jf7',1795490910739,1795490910744,NULL,NULL,'ignored','echo',NULL,'webhook');
INSERT INTO "event" VALUES(4,X'2D3B7A8AF9D1D3F3D16A24D882A6F1F3',2,'mica','108463527190842','message','m_sUwZZhYr07VMCinT0OP4yIEWDKvlaxGgReVKAJ1JpZx_Hlt-evT70yo3G94iWEhV',1795490910754,1795490910757,'I want a human',NULL,'done',NULL,3,'webhook');
INSERT INTO "event" VALUES(5,X'9E5CFA8D8E6BA398D8FAA69A77A20BFB',1,'mica','108463527190842','echo','m_nvOE3Zpud4XDn69CAo7xD7pNFs7mgyDrpo53jEmdfuqoPJgDPKrgF-yQPrjRNxDX',1795490910754,1795490910757,NULL,NULL,'ignored','echo',NULL,'webhook');
INSERT INTO "event" VALUES(6,X'3B018E6D71FC8ED44A6F597F32DA8ED6',2,'mica','108463527190842','echo','m_wWMBi0QirnLD7VkX0RiYFJ7EQ_4iGe9RYLgF4NZlCIKOEXv_izLO7gLmQX0RN-sb',1795490910769,1795490910771,NULL,NULL,'ignored','echo',NULL,'webhook');
INSERT INTO "event" VALUES(7,X'35A0D320A953706CE5834491AAE316FB',2,'mica','108463527190842','echo','m_SZjzH2oWJYw6Iy9VbuaA0PuOGOzBBlCKXAkFNHIfvvZHQafMkl9qmqdFF4x3Em6W',1795490914770,1795490914774,NULL,NULL,'ignored','echo',NULL,'webhook');
INSERT INTO "event" VALUES(8,X'766B7B8BFAF98561D75D83C057A9CCA8',2,'mica','108463527190842','message','m_IXhFzKXhiGJ8-ylRct1dkwi8-j3MCFNKVAUSLybzezDkrEvStYHNL1zhcAjms96c',1795490914824,1795490914827,'Thank you, human',NULL,'ignored','human',NULL,'webhook');
INSERT INTO "event" VALUES(9,X'2CBC4066AA6F020B8E2D58E59C9FFED4',3,'mica','108463527190842','message','m_PZKvEaC6_hZ62sCtuFTywatjViHrBXTgOO5IJsiyYuzmaeQJKHmr11gnixR2rO7l',1795490914878,1795490914881,'What nobody will answer',NULL,'dead','HTTP 400',4,'webhook');
INSERT INTO "event" VALUES(10,X'0EC1322C124B1CB6C7073858E9E4E97C',3,'mica','108463527190842','echo','m_UHpKhj31j0YnCZSFJebGz2_XSTyT6XfZhG4XNwZGIeUGCPKt0DX9lpB0RNN0yiPz',1795490914889,1795490914891,NULL,NULL,'ignored','echo',NULL,'webhook');
INSERT INTO "event" VALUES(11,X'1B26EC58B751EBE7BB90682A5371E563',4,'mica','108463527190842','message','m_xakeflDXBamaeSWk8cAK_836QbPQqLzqDYaC-1paF8uacHxbcGUWFfXzBlOGWt-c',1795490914932,1795490914934,'Tell me at length',NULL,'done',NULL,5,'webhook');
INSERT INTO "event" VALUES(12,X'716EFF3A7D1596C2475C3C2F31230542',NULL,'mica','108463527190842','unreadable',NULL,1795490914988,1795490914988,NULL,X'7B226D657373616765223A7B226D6964223A357D2C2273656E646572223A2236323834393133373735313032383436222C2274696D657374616D70223A226E65766572227D','dead','unreadable',NULL,'webhook');
INSERT INTO "event" VALUES(13,X'91EC9A269D378AB423487B918A0BE525',5,'mica','108463527190842','message','m_-r93JV9s9toGi5qyR4sBOLF1lAvEyy7RaeLokv1ZW6Iyz_bonsG_760ywYhY2Cea',1795490915712,1795490915738,'Was that heard?',NULL,'done',NULL,6,'webhook');
INSERT INTO "event" VALUES(14,X'29767BCF68972D82BB2684F31BD26D63',6,'mica','108463527190842','message','m_2qPfnh3r-xlqt_3VIhyKQknN6xF5RIg4j7xsEpjsnKV_XhJNmN2sWekxom9lUCku',1795490915766,1795490915769,'Tell me at length, Heidi',NULL,'done',NULL,7,'webhook');
INSERT INTO "event" VALUES(15,X'A3EDFB47BDE700E6A536EDE7BC83D2B2',7,'mica','108463527190842','message','m_uL9v9-fwcMQrbdwOstrkyWCPG61dXIAoEb9t2HnSdSlxy6FXa5-Lh68LLUA0qQEe',1795490915819,1795490915822,'Is it raining?',NULL,'in_turn',NULL,8,'webhook');
INSERT INTO "event" VALUES(16,X'F33F0369F8CD2364D304E26299FB497F',7,'mica','108463527190842','message','m_Cmlorl-P72hu02zmXV-xkUsz898jnjOCXgLi6sDsuk9DgSCm50puW9wOfmNo9nDW',1795490915872,1795490915874,'And tomorrow?',NULL,'new',NULL,NULL,'webhook');
INSERT INTO "event" VALUES(50,X'A29075CFF1F802B530E3C09D51CC496E',20,'mica','108463527190842','message','m_parked',1795490915874,1795490915874,'I wait',NULL,'in_turn',NULL,30,'webhook');
INSERT INTO "event" VALUES(51,X'1C41482A841D5073582870C4E38811A3',21,'mica','108463527190842','message','m_unresolved',1795490915874,1795490915874,'Did you get this?',NULL,'done',NULL,31,'webhook');
INSERT INTO "event" VALUES(52,X'F55B4AAE3B6C209D077065B1ADA7D346',21,'mica','108463527190842','message','m_expired',1795490915874,1795490915874,'Nobody came',NULL,'dead','window',32,'backfill');
CREATE TABLE page (
        bot TEXT PRIMARY KEY,
        token TEXT NOT NULL,          -- a fingerprint of it
        page TEXT NOT NULL
    ) STRICT;
INSERT INTO "page" VALUES('mica','858f64c68b0bb116be78bccd9e2c2fd66c7b294da5aabf84d946849189a19f0b','108463527190842');
CREATE TABLE part (
        id TEXT PRIMARY KEY,
        turn INTEGER NOT NULL REFERENCES turn,
        conversation INTEGER NOT NULL REFERENCES conversation,
        kind TEXT NOT NULL,
        number INTEGER NOT NULL,
        text TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        attempt INTEGER NOT NULL DEFAULT 0,
        absent INTEGER NOT NULL DEFAULT 0,
        first_wall INTEGER,           -- ms, by Meta's clock
        first_intended REAL,          -- this one, intended, looked and rest:
        intended REAL,                -- seconds on the monotonic clock of boot
        looked REAL,
        rest REAL,
        boot TEXT,
        resent INTEGER NOT NULL DEFAULT 0,
        withdrawn INTEGER NOT NULL DEFAULT 0,
        mid TEXT,
        echo TEXT,                    -- the mid of its first echo
        UNIQUE (turn, kind, number)
    ) STRICT;
INSERT INTO "part" VALUES('01M85SJ4GFSETH7A5HX4AFCK4H',1,1,'answer',1,'You said: Are you open on Sunday?','sent',NULL,1,0,1795490910735,36420.545826675,36420.545826675,NULL,NULL,'ee680fb8-f4e0-4dfe-9254-d68fe82abce1',0,0,'m_GnGnI3OGJkgvYcYjeWJ8wSTURhg8bk2eoaWlzPcuIUDDBL38aiHl6BIXVog11Jf7','m_GnGnI3OGJkgvYcYjeWJ8wSTURhg8bk2eoaWlzPcuIUDDBL38aiHl6BIXVog11Jf7');
INSERT INTO "part" VALUES('01M85SJ4H0CJ2MDBG5Q7XB6HDT',2,1,'answer',1,'You said: Opening hours','sent',NULL,1,0,1795490910752,36420.562896062,36420.562896062,NULL,NULL,'ee680fb8-f4e0-4dfe-9254-d68fe82abce1',0,0,'m_nvOE3Zpud4XDn69CAo7xD7pNFs7mgyDrpo53jEmdfuqoPJgDPKrgF-yQPrjRNxDX','m_nvOE3Zpud4XDn69CAo7xD7pNFs7mgyDrpo53jEmdfuqoPJgDPKrgF-yQPrjRNxDX');
INSERT INTO "part" VALUES('01M85SJ4HEYWW5AFT5P1JD80EJ',3,2,'answer',1,'You said: I want a human','sent',NULL,1,0,1795490910766,36420.577378587,36420.577378587,NULL,NULL,'ee680fb8-f4e0-4dfe-9254-d68fe82abce1',0,0,'m_wWMBi0QirnLD7VkX0RiYFJ7EQ_4iGe9RYLgF4NZlCIKOEXv_izLO7gLmQX0RN-sb','m_wWMBi0QirnLD7VkX0RiYFJ7EQ_4iGe9RYLgF4NZlCIKOEXv_izLO7gLmQX0RN-sb');
INSERT INTO "part" VALUES('01M85SJ8J6XXM371563JNSS90H',4,3,'notice',1,'Sorry, I can''t answer right now. Please try again in a little while.','sent',NULL,1,0,1795490914887,36424.698581934,36424.698581934,NULL,NULL,'ee680fb8-f4e0-4dfe-9254-d68fe82abce1',0,0,'m_UHpKhj31j0YnCZSFJebGz2_XSTyT6XfZhG4XNwZGIeUGCPKt0DX9lpB0RNN0yiPz','m_UHpKhj31j0YnCZSFJebGz2_XSTyT6XfZhG4XNwZGIeUGCPKt0DX9lpB0RNN0yiPz');
INSERT INTO "part" VALUES('01M85SJ8KTXQ23K5YNFRCTHXDW',5,4,'answer',1,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.','refused','person',1,0,1795490914938,36424.749302918,36424.749302918,NULL,NULL,'ee680fb8-f4e0-4dfe-9254-d68fe82abce1',0,0,NULL,NULL);
INSERT INTO "part" VALUES('01M85SJ8KTCRWZE699Z8BFFJBP',5,4,'answer',2,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.','expired','sibling',0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL);
INSERT INTO "part" VALUES('01M85SJ9D4AH0C81YZ4JGVGBWK',6,5,'answer',1,'You said: Was that heard?','unknown',NULL,1,0,1795490915748,36425.558923165,36425.558923165,NULL,NULL,'ee680fb8-f4e0-4dfe-9254-d68fe82abce1',0,0,NULL,NULL);
INSERT INTO "part" VALUES('01M85SJ9DYYA79AFQSPA13393P',7,6,'answer',1,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.','sending',NULL,1,0,1795490915774,36425.58491431,36425.58491431,NULL,NULL,'ee680fb8-f4e0-4dfe-9254-d68fe82abce1',0,0,NULL,NULL);
INSERT INTO "part" VALUES('01M85SJ9DY8CMWWQY045GQRW3K',7,6,'answer',2,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.','composed',NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL);
INSERT INTO "part" VALUES('01M8358M6SK7RNDD80BYPMWBZZ',31,21,'answer',1,'I did.','dead','unresolved',1,0,1795490915874,90.0,90.0,NULL,NULL,'gone',0,0,NULL,NULL);
CREATE TABLE progress (
        task TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
INSERT INTO "progress" VALUES('floor:mica',1795490910669);
INSERT INTO "progress" VALUES('gap:mica',1795490910669);
INSERT INTO "progress" VALUES('texts.event',3);
INSERT INTO "progress" VALUES('told:mica',1795490911715);
CREATE TABLE spending (
        bot TEXT NOT NULL,
        conversation INTEGER NOT NULL,
        day INTEGER NOT NULL,         -- since the epoch, UTC
        turns INTEGER NOT NULL DEFAULT 0,
        tokens INTEGER NOT NULL DEFAULT 0,  -- what is reserved among them
        minute INTEGER NOT NULL DEFAULT 0,  -- since the epoch: the last one
        minute_turns INTEGER NOT NULL DEFAULT 0,  -- in that minute
        told_until INTEGER NOT NULL DEFAULT 0,  -- ms: the person knows so long
        PRIMARY KEY (bot, conversation, day)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "spending" VALUES('mica',0,20781,0,5977,0,0,0);
INSERT INTO "spending" VALUES('mica',1,20781,2,166,29924848,2,0);
INSERT INTO "spending" VALUES('mica',2,20781,1,73,29924848,1,0);
INSERT INTO "spending" VALUES('mica',3,20781,1,96,29924848,1,0);
INSERT INTO "spending" VALUES('mica',4,20781,1,642,29924848,1,0);
INSERT INTO "spending" VALUES('mica',5,20781,1,74,29924848,1,0);
INSERT INTO "spending" VALUES('mica',6,20781,1,643,29924848,1,0);
INSERT INTO "spending" VALUES('mica',7,20781,1,4283,29924848,1,0);
CREATE TABLE tombstone (
        person BLOB PRIMARY KEY,      -- 32 bytes: SHA-256 of bot, Page and PSID
        at INTEGER NOT NULL           -- ms: what is older stays erased
    ) STRICT, WITHOUT ROWID;
INSERT INTO "tombstone" VALUES(X'1DEDFB07625A5669A881D4961DF6322A942CF368799567980E1C2B639E29B893',1795490915874);
CREATE TABLE turn (
        id INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversation,
        state TEXT NOT NULL,
        reason TEXT,
        began INTEGER NOT NULL,       -- ms: receipt of its oldest event
        tries INTEGER NOT NULL DEFAULT 0,
        rest REAL,                    -- seconds on the monotonic clock of boot
        boot TEXT,
        tokens INTEGER
    , reserved INTEGER, reserved_on INTEGER, first INTEGER) STRICT;
INSERT INTO "turn" VALUES(1,1,'closed',NULL,1795490910715,0,NULL,NULL,78,NULL,20781,1);
INSERT INTO "turn" VALUES(2,1,'closed',NULL,1795490910743,0,NULL,NULL,88,NULL,20781,2);
INSERT INTO "turn" VALUES(3,2,'closed',NULL,1795490910757,0,NULL,NULL,73,NULL,20781,4);
INSERT INTO "turn" VALUES(4,3,'failed','HTTP 400',1795490914881,0,NULL,NULL,NULL,NULL,20781,9);
INSERT INTO "turn" VALUES(5,4,'closed',NULL,1795490914934,0,NULL,NULL,642,NULL,20781,11);
INSERT INTO "turn" VALUES(6,5,'composed',NULL,1795490915738,0,NULL,NULL,74,NULL,20781,13);
INSERT INTO "turn" VALUES(7,6,'composed',NULL,1795490915769,0,NULL,NULL,643,NULL,20781,14);
INSERT INTO "turn" VALUES(8,7,'generating',NULL,1795490915822,0,NULL,NULL,NULL,4283,20781,15);
INSERT INTO "turn" VALUES(30,20,'ready',NULL,1795490915874,1,100.5,'gone',NULL,NULL,NULL,NULL);
INSERT INTO "turn" VALUES(31,21,'closed',NULL,1795490915874,1,NULL,NULL,33,NULL,NULL,NULL);
INSERT INTO "turn" VALUES(32,21,'expired','window',1795490915874,0,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE utterance (
        id INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversation,
        role TEXT NOT NULL,
        at INTEGER NOT NULL,          -- ms
        text TEXT NOT NULL
    ) STRICT;
INSERT INTO "utterance" VALUES(1,1,'person',1795490910710,'Are you open on Sunday?');
INSERT INTO "utterance" VALUES(2,1,'bot',1795490910735,'You said: Are you open on Sunday?');
INSERT INTO "utterance" VALUES(3,1,'person',1795490910739,'Opening hours');
INSERT INTO "utterance" VALUES(4,1,'bot',1795490910752,'You said: Opening hours');
INSERT INTO "utterance" VALUES(5,2,'person',1795490910754,'I want a human');
INSERT INTO "utterance" VALUES(6,2,'bot',1795490910766,'You said: I want a human');
INSERT INTO "utterance" VALUES(7,2,'human',1795490914770,'Here I am');
INSERT INTO "utterance" VALUES(8,2,'person',1795490914824,'Thank you, human');
INSERT INTO "utterance" VALUES(9,3,'person',1795490914878,'What nobody will answer');
INSERT INTO "utterance" VALUES(10,4,'person',1795490914932,'Tell me at length');
INSERT INTO "utterance" VALUES(11,4,'bot',1795490914938,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.');
INSERT INTO "utterance" VALUES(12,5,'person',1795490915712,'Was that heard?');
INSERT INTO "utterance" VALUES(13,5,'bot',1795490915748,'You said: Was that heard?');
INSERT INTO "utterance" VALUES(14,6,'person',1795490915766,'Tell me at length, Heidi');
INSERT INTO "utterance" VALUES(15,6,'bot',1795490915774,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.');
CREATE INDEX part_mid ON part (mid) WHERE mid IS NOT NULL;
CREATE INDEX utterance_of ON utterance (conversation);
CREATE INDEX deletion_open ON deletion (id) WHERE psid IS NOT NULL;
CREATE INDEX conversation_farewell ON conversation (id)
        WHERE farewell IS NOT NULL;
CREATE INDEX event_open ON event (conversation) WHERE (state = 'new' OR state = 'in_turn');
CREATE UNIQUE INDEX turn_open ON turn (conversation) WHERE (state = 'ready' OR state = 'generating' OR state = 'composed');
CREATE INDEX part_open ON part (conversation, turn) WHERE (state = 'composed' OR state = 'sending' OR state = 'unknown');
CREATE INDEX event_spoken ON event (conversation, at) WHERE (kind = 'message' OR kind = 'quick_reply' OR kind = 'postback' OR kind = 'echo');
CREATE INDEX part_given_up ON part (conversation) WHERE attempt > 0 AND mid IS NULL AND (state = 'refused' OR state = 'expired' OR state = 'dead');
PRAGMA application_id = 1835623265;
PRAGMA user_version = 9;
COMMIT;
