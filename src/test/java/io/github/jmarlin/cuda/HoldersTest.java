package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class HoldersTest {

    private final Holders holders = new Holders("the thing");

    @Test
    void closesOnceAndOnlyWhenFree() {
        holders.acquire();
        holders.acquire();
        refused("the thing closed while in use by 2 holder(s)", holders::close);
        holders.release();
        holders.release();
        assertTrue(holders.close());
        assertFalse(holders.close());
        refused("the thing used after close", holders::acquire);
        refused("the thing used after close", holders::checkOpen);
    }

    private static void refused(String part, Runnable call) {
        String message = assertThrows(IllegalStateException.class, call::run).getMessage();
        assertTrue(message.contains(part), message);
    }
}
