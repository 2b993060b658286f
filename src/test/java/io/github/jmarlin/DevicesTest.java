package io.github.jmarlin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.cuda.CudaDriver;
import java.util.List;
import org.junit.jupiter.api.Test;

class DevicesTest {

    @Test
    void theProcessorIsAlwaysThereAndLast() {
        List<ComputeDevice> devices = Devices.all();
        assertEquals("cpu", devices.get(devices.size() - 1).kind());
        assertEquals(1, devices.stream().filter(device -> device.kind().equals("cpu")).count());
    }

    @Test
    void theChoiceHasAReason() {
        DeviceChoice choice = Devices.best();
        assertTrue(Devices.all().contains(choice.device()), choice.toString());
        if (choice.device().kind().equals("cpu")) {
            assertFalse(Devices.unavailable().isEmpty());
            Devices.unavailable().forEach(reason -> assertTrue(choice.reason().contains(reason), choice.reason()));
        } else {
            assertTrue(CudaDriver.isAvailable() && choice.reason().contains("usable GPU"), choice.reason());
        }
        assertFalse(choice.reason().contains("\n"), choice.reason());
    }
}
