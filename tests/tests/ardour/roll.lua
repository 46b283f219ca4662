-- roll.lua FOLDER SECONDS SPEED [PARAMETER=VALUE ...]: opens the session, sets parameters of the
-- plugin, records DST while the transport rolls, saves.
local b = AudioEngine:set_backend("None (Dummy)", "", "")
b:set_driver(arg[3])
s = load_session(arg[1], "session")
assert(s)
local src = s:route_by_name("SRC")
local index, processor = 0, nil
repeat
  processor = src:nth_processor(index)
  index = index + 1
until processor:isnil() or processor:display_name() == "Continuo"
assert(not processor:isnil(), "the plugin is not there any more")
local plugin = processor:to_insert():plugin(0)
for k = 4, #arg do
  local name, value = arg[k]:match("^(.-)=(.*)$")
  local found = false
  for j = 0, plugin:parameter_count() - 1 do
    if plugin:parameter_is_input(j) and plugin:parameter_label(j) == name then
      found = ARDOUR.LuaAPI.set_processor_param(processor, j, tonumber(value))
    end
  end
  assert(found, "no parameter " .. name)
end
local dst = s:route_by_name("DST"):to_track():to_midi_track()
dst:rec_enable_control():set_value(1, PBD.GroupControlDisposition.NoGroup)
s:goto_start(true)
s:maybe_enable_record(true)
ARDOUR.LuaAPI.usleep(500000)
s:request_roll(ARDOUR.TransportRequestSource.TRS_UI)
local looks = 0
while s:transport_sample() < tonumber(arg[2]) * s:nominal_sample_rate() and looks < 2400 do
  ARDOUR.LuaAPI.usleep(25000)
  looks = looks + 1
end
s:request_stop(false, false, ARDOUR.TransportRequestSource.TRS_UI)
looks = 0
while not s:transport_stopped() and looks < 400 do
  ARDOUR.LuaAPI.usleep(25000)
  looks = looks + 1
end
ARDOUR.LuaAPI.usleep(500000)
s:save_state("", false, false, false, false, false)
close_session()
quit()
